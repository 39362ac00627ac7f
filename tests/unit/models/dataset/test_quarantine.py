"""Rows left out are kept as they stood."""

import json
from pathlib import Path

import polars as pl
import pytest

from models.dataset import Effect, FaultReport, read_dataset
from models.dataset.quarantine import write_quarantine
from tests.datasets import event, sale, write_dataset

BAD = event(event_id="bad", type="buy", position="0")


@pytest.fixture
def faults(tmp_path: Path) -> FaultReport:
    events = [event(), event(), BAD]
    return read_dataset(write_dataset(tmp_path / "data", events=events)).faults


@pytest.mark.parametrize("name", ["aside.csv", "aside.parquet", "folder"])
def test_a_row_left_out_is_kept_as_it_stood(tmp_path: Path, faults: FaultReport, name: str) -> None:
    path = write_quarantine(faults, tmp_path / name)

    assert path is not None
    kept = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    assert kept.columns == ["file", "row", "column", "code", "reason", "record"]
    assert kept.select("file", "row", "code").rows() == [
        ("events.csv", 3, "out_of_range"),
        ("events.csv", 3, "unknown_type"),
    ]
    assert [json.loads(record) for record in kept["record"]] == [BAD, BAD]


def test_attributes_are_kept_as_they_stood(tmp_path: Path) -> None:
    bad = sale(sale_id="bad", price="-1", stars="04")
    write_dataset(tmp_path, sales=[sale(price="1", stars="3"), bad])

    (fault,) = read_dataset(tmp_path).faults.having(Effect.ROW)

    assert json.loads(fault.record or "") == bad


def test_a_quarantine_of_an_earlier_run_does_not_outlive_its_faults(
    tmp_path: Path, faults: FaultReport
) -> None:
    path = write_quarantine(faults, tmp_path)
    assert path is not None

    assert write_quarantine(FaultReport.none(), tmp_path) is None
    assert not path.exists()


def test_a_file_asked_for_is_written_even_without_rows(tmp_path: Path) -> None:
    path = write_quarantine(FaultReport.none(), tmp_path / "aside.csv")

    assert path is not None
    assert path.read_text(encoding="utf-8") == "file,row,column,code,reason,record\n"


def test_a_quarantine_never_replaces_a_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"events.csv has the name of a table"):
        write_quarantine(FaultReport.none(), tmp_path / "events.csv")
