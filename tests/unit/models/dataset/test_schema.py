"""The contract is the same in the reader, in the value types and in its documentation."""

import re

import pytest

from models.dataset import FaultCode
from models.dataset.schema import CUSTOMERS, EVENTS, SALES, Column
from models.domain.event import Event, EventType
from models.domain.sale import Sale
from tests.proofs import ROOT

PAGE = (ROOT / "docs" / "dataset.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text under a heading, up to the next."""
    return re.split(r"^#+ ", PAGE.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, str]:
    """Return the second cell of every table row whose first is in code type."""
    return dict(re.findall(r"^\| `(\w+)` \| *([^|]*?) *\|", text, flags=re.MULTILINE))


def names(columns: tuple[Column, ...]) -> set[str]:
    return {column.name for column in columns}


def test_sales_have_the_columns_of_a_sale() -> None:
    assert names(SALES) == set(Sale.model_fields) - {"attributes"}


def test_events_have_the_columns_of_an_event_and_its_receipt() -> None:
    assert names(EVENTS) == set(Event.model_fields) | {"received_at"}


@pytest.mark.parametrize(("title", "columns"), [("sales", SALES), ("events", EVENTS)])
def test_every_column_is_documented(title: str, columns: tuple[Column, ...]) -> None:
    documented = rows(section(title))
    kinds = {event_type.value for event_type in EventType}

    required = {column.name: "required" if column.required else "" for column in columns}
    assert {name: cell for name, cell in documented.items() if name not in kinds} == required


def test_every_event_type_is_documented() -> None:
    documented = rows(section("events"))

    assert {event_type.value for event_type in EventType} <= documented.keys()


def test_the_required_column_of_customers_is_documented() -> None:
    assert all(f"`{name}` is required" in section("customers") for name in names(CUSTOMERS))


def test_every_fault_is_documented_with_its_effect() -> None:
    assert rows(section("Faults")) == {code.value: code.effect.value for code in FaultCode}
