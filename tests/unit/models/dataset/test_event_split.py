"""The parts of a split dataset together are the dataset."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from models.dataset import DatasetError, read_dataset
from models.dataset.event_split import Split, number_of_parts, part_numbers, split_dataset
from models.dataset.events import EventTable
from models.dataset.merges import MergeTable
from models.dataset.reading import erasures_in, read_event_part, read_reference
from tests.datasets import Row, event, sale, write_csv, write_dataset
from tests.imported_log import HOUR, IMPORT, START, imported_events

N_PARTS = 4


def log() -> list[Row]:
    """Events of twenty customers: imported, live, repeated, contradicting, faulty, erased."""
    imported = imported_events()
    live = [
        event(
            event_id=f"l{number}", customer_id=f"c{number}", at=(IMPORT + number * HOUR).isoformat()
        )
        for number in range(20)
    ]
    faulty = [event(event_id="f1", customer_id="c3", type="unknown"), event(customer_id="")]
    return [*imported, *live, imported[5], {**imported[6], "type": "click"}, *faulty]


def write(folder: Path, *, as_parquet: bool) -> Path:
    write_dataset(folder, sales=[sale()], events=log())
    erased = {"customer_id": "c7", "erased_at": (START + 30 * HOUR).isoformat()}
    write_csv(folder / "erasures.csv", [erased])
    ages = [{"customer_id": f"c{n}", "age": str(20 + n % 3)} for n in range(25)]
    write_csv(folder / "customers.csv", [*ages, {"customer_id": "c30", "age": ""}])
    if as_parquet:
        text = pl.read_csv(folder / "events.csv", infer_schema=False)
        text.write_parquet(folder / "events.parquet")
        (folder / "events.csv").unlink()
    return folder


def parts_of(folder: Path, *, n_parts: int = N_PARTS) -> tuple[Split, list[EventTable]]:
    reference, out = read_reference(folder), folder / "work" / "split"
    split_dataset(folder, reference.customers, merges=reference.merges, folder=out, n_parts=n_parts)
    split, (erasures, _) = Split.read(out), erasures_in(folder)
    parts = [
        read_event_part(split.events(part), erasures=erasures, imported=split.imported)[0]
        for part in range(n_parts)
    ]
    return split, parts


def seen(events: EventTable) -> list[tuple[str, str, int, int]]:
    """Customer, event, time and receipt of each event, in the order of the table."""
    customers = events.customers.values.gather(events.customers.codes)
    columns = (customers, events.event_ids, events.at_us.tolist(), events.received_us.tolist())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("as_parquet", [False, True])
def test_the_parts_are_the_accepted_events_of_the_whole(
    tmp_path: Path, *, as_parquet: bool
) -> None:
    """An import is one of the whole log: each part has too few events of it to tell."""
    folder = write(tmp_path, as_parquet=as_parquet)
    whole = read_dataset(folder).events

    _, parts = parts_of(folder)

    assert sorted(one for part in parts for one in seen(part)) == sorted(seen(whole))
    assert all(seen(part) == [one for one in seen(whole) if one in seen(part)] for part in parts)


def test_files_with_other_columns_and_types_make_the_same_parts(tmp_path: Path) -> None:
    """Rows are gathered over files: those of an older export lack a column."""
    folder = write_dataset(tmp_path, sales=[sale()], events=log())
    text = pl.read_csv(folder / "events.csv", infer_schema=False)
    (folder / "events.csv").unlink()
    (folder / "events").mkdir()
    older = text[:30].drop("received_at").with_columns(pl.col("customer_id").cast(pl.Categorical))
    for number, rows in enumerate((older, text[30:50], text[50:])):
        rows.write_parquet(folder / "events" / f"{number}.parquet")
    whole = read_dataset(folder).events

    _, parts = parts_of(folder)

    assert sorted(one for part in parts for one in seen(part)) == sorted(seen(whole))


def test_a_customer_is_in_one_part_with_their_attributes(tmp_path: Path) -> None:
    folder = write(tmp_path, as_parquet=False)

    split, parts = parts_of(folder)

    ids = [set(part.customers.values) for part in parts]
    assert sum(map(len, ids)) == len(set[str]().union(*ids))
    ages = {
        customer: split.customers(part).attributes(row)["age"]
        for part in range(N_PARTS)
        for row, customer in enumerate(split.customers(part).customer_ids)
    }
    # Without a known attribute nothing is known of c30, and c7 was erased.
    assert ages == {f"c{n}": 20.0 + n % 3 for n in range(25) if n != 7}
    for part, known in enumerate(ids):
        numbers = part_numbers(pl.Series(sorted(known)), n_parts=N_PARTS, merges=MergeTable.none())
        assert set(numbers.tolist()) <= {part}


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, sales=[sale()], events=log())
    with (folder / "events.csv").open("a", encoding="utf-8") as file:
        file.write("too,few\n")

    split, _ = parts_of(folder)

    assert split.n_unreadable == 1


def test_a_split_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    folder = write(tmp_path, as_parquet=False)
    rest = folder / "work" / ".split.partial" / "00000" / "events" / "00007.parquet"
    rest.parent.mkdir(parents=True)
    rest.write_bytes(b"half a file")

    _, parts = parts_of(folder)

    assert sum(map(len, parts)) == len(read_dataset(folder).events)


@pytest.mark.parametrize("lacking", ["customer_id", "at"])
def test_events_without_a_needed_column_are_refused(tmp_path: Path, lacking: str) -> None:
    rows: Sequence[Row] = [{k: v for k, v in event().items() if k != lacking}]
    folder = write_dataset(tmp_path, sales=[sale()], events=rows)

    with pytest.raises(DatasetError, match=f"has no column '{lacking}'"):
        parts_of(folder)


def test_a_dataset_without_events_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "sales.csv", [sale()])

    with pytest.raises(DatasetError, match=r"holds no events\.parquet"):
        number_of_parts(tmp_path)


def test_small_datasets_have_one_part(tmp_path: Path) -> None:
    assert number_of_parts(write(tmp_path, as_parquet=False)) == 1
