"""Columns of `customers`: which are kept as attributes, by their type, and which are not."""

from pathlib import Path

import polars as pl

from models.dataset import Dataset, FaultCode, read_dataset
from models.dataset.schema import MAX_CUSTOMER_ATTRIBUTES
from tests.datasets import event, write_csv, write_dataset

ROWS = (
    {
        "customer_id": "c1",
        "age": "41",
        "club": "true",
        "tier": "gold",
        "email": "a@x",
        "land": "FR",
    },
    {"customer_id": "c2", "age": "", "club": "false", "tier": "", "email": "b@x", "land": "FR"},
    {"customer_id": "c3", "age": "29.5", "club": "", "tier": "blue", "email": "c@x", "land": "FR"},
    {"customer_id": "c4", "age": "29.5", "club": "", "tier": "gold", "email": "d@x", "land": "FR"},
    {"customer_id": "c5", "age": "30", "club": "", "tier": "blue", "email": "e@x", "land": "FR"},
)


def dataset(folder: Path) -> Dataset:
    events = [event(event_id=f"e-{who}", customer_id=who) for who in ("c3", "stranger", "c1")]
    write_dataset(folder, events=events)
    write_csv(folder / "customers.csv", ROWS)
    return read_dataset(folder)


def test_numbers_flags_and_texts_are_attributes_and_gaps_are_unknown(tmp_path: Path) -> None:
    found = dataset(tmp_path).customers
    assert found is not None

    assert found.attributes(0) == {"age": 41.0, "club": True, "tier": "gold"}
    assert found.attributes(1) == {"club": False}
    assert found.attributes(2) == {"age": 29.5, "tier": "blue"}


def test_columns_that_say_nothing_about_others_are_named_and_not_kept(tmp_path: Path) -> None:
    noted = dataset(tmp_path).faults.with_codes(FaultCode.NOT_LEARNED)

    assert {fault.column: fault.reason for fault in noted} == {
        "email": "column 'email' of customers has 5 texts for 5 customers: "
        "no model reads it, and it is not kept",
        "land": "column 'land' of customers has one value: no model reads it, and it is not kept",
    }


def test_events_have_the_attributes_of_their_customers(tmp_path: Path) -> None:
    events = dataset(tmp_path).events

    assert events.customers.values.to_list() == ["c1", "c3", "stranger"]
    assert [events.attributes.attributes(code) for code in range(3)] == [
        {"age": 41.0, "club": True, "tier": "gold"},
        {"age": 29.5, "tier": "blue"},
        {},
    ]


def test_the_first_columns_are_kept_and_those_beyond_them_are_named(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    names = [f"n{number:02}" for number in range(MAX_CUSTOMER_ATTRIBUTES + 2)]
    rows = {"customer_id": ["c1", "c2"], **{name: [1, 2] for name in names}}
    pl.DataFrame(rows).write_parquet(tmp_path / "customers.parquet")

    found = read_dataset(tmp_path)

    assert found.customers is not None
    assert [*found.customers.columns] == names[:MAX_CUSTOMER_ATTRIBUTES]
    noted = found.faults.with_codes(FaultCode.NOT_LEARNED)
    assert [fault.column for fault in noted] == names[MAX_CUSTOMER_ATTRIBUTES:]


def test_a_text_of_more_than_128_characters_is_unknown(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    texts = ["a", "a", "b", "b", "c" * 129]
    rows = {"customer_id": ["c1", "c2", "c3", "c4", "c5"], "note": texts}
    pl.DataFrame(rows).write_parquet(tmp_path / "customers.parquet")

    found = read_dataset(tmp_path).customers

    assert found is not None
    assert [found.attributes(row) for row in (0, 4)] == [{"note": "a"}, {}]
