"""Rows of erased customers are neither read nor quoted, and are counted."""

from pathlib import Path

import polars as pl
import pytest

from models.dataset import DatasetError, FaultCode, read_dataset
from tests.datasets import Row, event, write_csv, write_dataset

ERASED = [{"customer_id": "c1", "erased_at": "2025-03-01T12:00:00Z"}]


def did(event_id: str, **fields: str) -> Row:
    return event(event_id=event_id, **fields)


def read_ids(directory: Path) -> list[str]:
    return sorted(read_dataset(directory).events.event_ids)


@pytest.mark.parametrize(
    ("at", "received_at", "stays"),
    [
        ("2025-03-01T12:00:00Z", "", False),
        ("2025-03-01T12:00:01Z", "", True),
        ("2025-03-01T12:00:01Z", "2025-03-01T11:59:59Z", False),
        ("2025-03-01T11:00:00Z", "2025-03-01T12:00:01Z", False),
    ],
)
def test_what_happened_or_was_received_before_an_erasure_goes(
    tmp_path: Path, at: str, received_at: str, *, stays: bool
) -> None:
    """A fast clock hides nothing, a late event brings no customer back."""
    other = did("other", customer_id="c2", at="2025-03-01T11:00:00Z", received_at="")
    write_dataset(tmp_path, events=[did("e", at=at, received_at=received_at), other])
    write_csv(tmp_path / "erasures.csv", ERASED)

    assert read_ids(tmp_path) == (["e", "other"] if stays else ["other"])


def test_the_last_of_several_erasures_counts(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[did("e", at="2025-03-02T12:00:00Z")])
    later = {"customer_id": "c1", "erased_at": "2025-03-03T12:00:00Z"}
    write_csv(tmp_path / "erasures.csv", [later, *ERASED])

    assert read_ids(tmp_path) == []


def test_erased_rows_are_counted_and_not_quoted_even_if_they_are_faulty(tmp_path: Path) -> None:
    """The quarantine would keep what has to go."""
    rows = [did("e1", at="2025-03-01T10:00:00Z"), did("e2", at="never"), did("e3", type="like")]
    write_dataset(tmp_path, events=rows)
    write_csv(tmp_path / "erasures.csv", ERASED)
    write_csv(tmp_path / "customers.csv", [{"customer_id": "c1"}, {"customer_id": "c2"}])

    dataset = read_dataset(tmp_path)

    assert dataset.faults.with_codes(FaultCode.ERASED).table["file"].to_list() == [
        *["events.csv"] * 3,
        "customers.csv",
    ]
    assert dataset.faults.n_refused() == {}
    assert not dataset.faults.table.select(
        pl.any_horizontal(pl.col("reason", "record").str.contains("c1"))
    )["reason"].any()
    assert dataset.customers is not None
    assert dataset.customers.customer_ids.to_list() == ["c2"]


def test_the_fingerprint_covers_erasures(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event()])
    before = read_dataset(tmp_path).fingerprint

    write_csv(tmp_path / "erasures.csv", ERASED)

    assert read_dataset(tmp_path).fingerprint != before


def test_erasures_that_cannot_be_read_stop_the_reading(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event()])
    write_csv(tmp_path / "erasures.csv", [{"customer": "c1", "erased_at": "2025-03-01T12:00:00Z"}])

    with pytest.raises(DatasetError, match=r"erasures\.csv: .*customer_id"):
        read_dataset(tmp_path)
