"""Types of the clients against `openapi.yaml`: the same names, and the same ones required."""

from typing import Any, get_args

import pytest
import yaml

from deploy.client.vitrine_client import answers
from tests.proofs import ROOT

DOCUMENT = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]


def names(typed: Any) -> set[str]:  # noqa: ANN401 - a TypedDict's class has no type of its own
    return set(typed.__required_keys__ | typed.__optional_keys__)


@pytest.mark.parametrize(
    ("typed", "schema"),
    [
        (answers.Slate, "SlateAnswer"),
        (answers.Page, "PageAnswer"),
        (answers.Row, "RowAnswer"),
        (answers.Item, "RecommendedSale"),
        (answers.Assignment, "AssignmentAnswer"),
        (answers.EventResult, "EventResult"),
        (answers.Event, "Event"),
        (answers.PageAsk, "PageBody"),
    ],
)
def test_a_type_has_the_fields_of_its_schema(typed: type, schema: str) -> None:
    # `next` is of lists that were asked for with a cursor.
    assert names(typed) - {"next"} == set(SCHEMAS[schema]["properties"]) - {"next"}


@pytest.mark.parametrize(
    ("typed", "path"),
    [(answers.Ask, "/v1/recommendations"), (answers.Visit, "/v1/assignments")],
)
def test_a_call_has_the_parameters_of_its_route(typed: type, path: str) -> None:
    route = DOCUMENT["paths"][path]["get"]

    assert names(typed) == {one["name"] for one in route["parameters"]}


def test_types_of_events_are_those_of_the_api() -> None:
    assert set(get_args(answers.EventType)) == set(SCHEMAS["EventType"]["enum"])
