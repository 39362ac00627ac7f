"""A log that is read by part is the log that is read whole, with the same faults."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.dataset import Dataset, DatasetError, Labels, read_dataset
from models.dataset.events_by_part import ReadingByPart
from tests.datasets import Row, event, sale, write_csv, write_dataset
from tests.imported_log import HOUR, IMPORT, START, imported_events

WITHOUT_ORDER = ("file", "row", "code", "column", "reason")


def log() -> list[Row]:
    """Imported, live and late events, equal in time and id, repeated, faulty and erased ones."""
    imported = imported_events()
    # One id and time: their order is that of the file.
    together = [event(event_id="same", customer_id=f"c{19 - n}") for n in range(20)]
    late = [
        event(
            event_id=f"l{n}",
            customer_id=f"c{n}",
            at=(IMPORT + n * HOUR).isoformat(),
            received_at=(IMPORT + (n + 3) * HOUR).isoformat(),
            type="refund" if n == 4 else "click",
            sale_id="s1" if n < 15 else "unknown",
            market="nowhere",
        )
        for n in range(20)
    ]
    faulty = [
        event(event_id="f1", customer_id="c3", type="unknown"),
        event(event_id="f2", customer_id=""),
        event(event_id="f3", customer_id="c5", at="yesterday"),
    ]
    return [*imported, *together, *late, imported[5], {**imported[6], "type": "click"}, *faulty]


def write(folder: Path, *, form: str) -> Path:
    write_dataset(folder, sales=[sale(), sale(sale_id="s2", markets="fr")], events=log())
    erased = {"customer_id": "c7", "erased_at": (START + 30 * HOUR).isoformat()}
    write_csv(folder / "erasures.csv", [erased])
    write_csv(folder / "customers.csv", [{"customer_id": f"c{n}", "age": "30"} for n in range(9)])
    path = folder / "events.csv"
    text = path.read_text()
    if form == "csv":
        path.write_text(f"{text}too,few\n")
        return folder
    frame = pl.read_csv(path, infer_schema=False).with_columns(more=pl.lit("x"))
    path.unlink()
    if form == "parquet":
        frame.write_parquet(folder / "events.parquet")
    else:
        for number, part in enumerate(frame.iter_slices(30)):
            target = folder / "events" / f"day={number}" / "part.parquet"
            target.parent.mkdir(parents=True)
            part.write_parquet(target)
    return folder


def require_equal(found: Dataset, whole: Dataset) -> None:
    """Compare all that was read."""
    assert found.fingerprint == whole.fingerprint
    assert found.sales == whole.sales
    assert found.faults.counts() == whole.faults.counts()
    ordered = [one.faults.table.sort(WITHOUT_ORDER, nulls_last=True) for one in (found, whole)]
    assert ordered[0].equals(ordered[1])
    for each in dataclasses.fields(whole.events):
        ours, theirs = getattr(found.events, each.name), getattr(whole.events, each.name)
        if isinstance(theirs, Labels):
            assert ours.values.equals(theirs.values), each.name
            np.testing.assert_array_equal(ours.codes, theirs.codes, err_msg=each.name)
        elif isinstance(theirs, pl.Series):
            assert ours.equals(theirs), each.name
        elif each.name not in {"attributes", "merges"}:
            np.testing.assert_array_equal(ours, theirs, err_msg=each.name, strict=True)


@pytest.mark.parametrize("n_parts", [2, 40])
@pytest.mark.parametrize("form", ["csv", "parquet", "folder"])
def test_parts_are_the_whole(form: str, n_parts: int, tmp_path: Path) -> None:
    data, scratch = write(tmp_path / "data", form=form), tmp_path / "scratch"
    whole = read_dataset(data)

    found = read_dataset(data, by_part=ReadingByPart(scratch, n_parts))

    assert len(whole.events) > 80
    assert len(whole.faults.counts()) >= 8
    require_equal(found, whole)
    assert all(one.table["row"].is_sorted() for one in found.faults.by_kind())
    assert isinstance(found.events.at_us, np.memmap)
    assert list(scratch.iterdir()) == []


def test_a_simulated_shop_in_parts_is_the_whole(tiny_world: Path, tmp_path: Path) -> None:
    require_equal(
        read_dataset(tiny_world, by_part=ReadingByPart(tmp_path, 3)), read_dataset(tiny_world)
    )


@pytest.mark.parametrize("broken", ["at", "customer_id", "type"])
def test_a_missing_column_is_the_same_error(broken: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", form="parquet")
    path = data / "events.parquet"
    pl.read_parquet(path).drop(broken).write_parquet(path)
    with pytest.raises(DatasetError) as whole:
        read_dataset(data)

    with pytest.raises(DatasetError) as found:
        read_dataset(data, by_part=ReadingByPart(tmp_path, 4))

    assert str(found.value) == str(whole.value)


def test_a_log_without_an_event_that_could_be_accepted_says_how_many_there_were(
    tmp_path: Path,
) -> None:
    events = [event(event_id=f"e{n}", type="unknown") for n in range(7)]
    data = write_dataset(tmp_path / "data", sales=[sale()], events=events)

    found = read_dataset(data, by_part=ReadingByPart(tmp_path, 2))

    assert "has no row that could be accepted, of 7" in str(found.faults.table["reason"].to_list())
