import json
from collections.abc import Iterator

import jsonschema_rs
import pytest
import yaml
from pydantic import BaseModel, JsonValue

from app import __version__
from app.api.schema.openapi_examples import EXAMPLES
from app.main import create_app
from app.resources import Worker
from app.settings import Settings
from models.domain.event import Event
from models.domain.sale import Sale
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_edit import PlanDraft
from tests.proofs import ROOT


def test_openapi_yaml_is_in_step_with_the_app() -> None:
    written = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))

    assert written == create_app(Settings(), Worker()).openapi(), "run: make openapi"


def test_the_document_is_made_once_however_often_strangers_ask_for_it() -> None:
    app = create_app(Settings(), Worker())

    assert app.openapi() is app.openapi()


DOCUMENT = create_app(Settings(), Worker()).openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_has_an_example_that_it_accepts(name: str) -> None:
    document = {
        "$ref": f"#/components/schemas/{name}",
        "components": {"schemas": SCHEMAS},
    }
    validator = jsonschema_rs.Draft202012Validator(document, validate_formats=True)

    examples = SCHEMAS[name]["examples"]

    assert examples
    assert [error.message for one in examples for error in validator.iter_errors(one)] == []


def test_every_parameter_has_an_example_that_it_accepts() -> None:
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    parameters = [one for operation in operations for one in operation.get("parameters", ())]

    for schema in (parameter["schema"] for parameter in parameters):
        document = {**schema, "components": {"schemas": SCHEMAS}}
        validator = jsonschema_rs.Draft202012Validator(document, validate_formats=True)
        assert schema["examples"]
        assert [e.message for one in schema["examples"] for e in validator.iter_errors(one)] == []


@pytest.mark.parametrize(
    ("name", "model"),
    [("PlanDraft", PlanDraft), ("Plan", Plan), ("Event", Event), ("Sale", Sale)],
)
def test_an_example_holds_together(name: str, model: type[BaseModel]) -> None:
    """What relates two fields stands in no schema: shares that sum up, opening before closing."""
    for example in SCHEMAS[name]["examples"]:
        model.model_validate_json(json.dumps(example))


def request_schemas() -> Iterator[dict[str, JsonValue]]:
    """Yield every schema within the bodies of requests, references followed."""
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    waiting: list[JsonValue] = [one.get("requestBody") for one in operations]
    seen = set[str]()
    while waiting:
        found = waiting.pop()
        if isinstance(found, list):
            waiting += found
        elif isinstance(found, dict):
            yield found
            waiting += [one for key, one in found.items() if not key.startswith("example")]
            name = str(found.get("$ref", "")).rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                waiting.append(SCHEMAS.get(name))


def test_names_that_no_pattern_allows_are_allowed_by_no_schema() -> None:
    """A schema accepts what no pattern matches unless it says otherwise; the service refuses it."""

    def open_mappings(schema: JsonValue) -> int:
        if isinstance(schema, list):
            return sum(map(open_mappings, schema))
        if not isinstance(schema, dict):
            return 0
        is_open = "patternProperties" in schema and schema.get("additionalProperties") is not False
        return is_open + sum(map(open_mappings, schema.values()))

    assert open_mappings(DOCUMENT) == 0


def test_every_text_of_a_request_has_a_bound() -> None:
    """What is stored is sent to every worker and written to every export."""
    bounds = {"maxLength", "enum", "const", "format", "pattern"}
    values = {"patternProperties", "additionalProperties"}

    schemas = list(request_schemas())
    texts = [one for one in schemas if one.get("type") == "string"]
    mappings = [one for one in schemas if any(isinstance(one.get(key), dict) for key in values)]

    assert texts
    assert mappings
    assert [one for one in texts if not one.keys() & bounds] == []
    assert [one for one in mappings if "maxLength" not in str(one.get("propertyNames"))] == []


def test_no_example_is_left_of_what_is_gone() -> None:
    assert EXAMPLES.keys() <= SCHEMAS.keys()


def test_the_service_has_the_version_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert f'version = "{__version__}"' in project
