"""Tables as Spark, warehouses and office programs leave them: read, or refused with a reason."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from models.dataset import DatasetError, FaultCode, read_dataset
from models.domain.event import to_us
from tests.datasets import EVENT, SALE, event, sale, write_csv, write_dataset

AT = datetime(2025, 1, 2, tzinfo=UTC)


def parquet(path: Path, **columns: object) -> Path:
    """Write an event, or what the columns say of it instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([EVENT | {"at": AT} | columns]).write_parquet(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset without events."""
    (write_dataset(tmp_path) / "events.csv").unlink()
    return tmp_path


@pytest.mark.parametrize("name", ["events", "events.parquet"])
def test_a_folder_of_spark_is_a_table(folder: Path, name: str) -> None:
    parquet(folder / name / "part-00001-a.snappy.parquet", event_id="e2")
    parquet(folder / name / "part-00000-a.snappy.parquet", event_id="e1")
    (folder / name / "_SUCCESS").write_bytes(b"")
    (folder / name / ".part-00000-a.snappy.parquet.crc").write_bytes(b"crc")
    (folder / name / "_temporary" / "0").mkdir(parents=True)
    (folder / name / "_temporary" / "0" / "part-9.parquet").write_bytes(b"half")

    dataset = read_dataset(folder, strict=True)

    assert dataset.events.event_ids.to_list() == ["e1", "e2"]
    assert not len(dataset.faults)


def test_names_of_folders_are_columns(folder: Path) -> None:
    days = folder / "events"
    parquet(days / "day=2025-01-02" / "market=fr%2FCH" / "part-0.parquet", event_id="e1")
    parquet(days / "day=2025-01-03" / "market=__HIVE_DEFAULT_PARTITION__" / "part-0.parquet")

    dataset = read_dataset(folder)

    assert dataset.events.markets.values.to_list() == ["fr/ch"]
    assert [(f.code, f.column) for f in dataset.faults.with_codes(FaultCode.UNKNOWN_COLUMN)] == [
        (FaultCode.UNKNOWN_COLUMN, "day")
    ]


def test_parts_may_differ_in_columns_and_widths_of_numbers(folder: Path) -> None:
    parts = folder / "events"
    parquet(parts / "part-0.parquet", event_id="e1", position=3)
    parquet(parts / "part-1.parquet", event_id="e2", price=9.5, customer_id=7)
    pl.DataFrame([EVENT | {"at": AT, "event_id": "e3", "position": None}]).write_parquet(
        parts / "part-2.parquet"
    )

    events = read_dataset(folder, strict=True).events

    assert events.event_ids.sort().to_list() == ["e1", "e2", "e3"]
    assert sorted(events.positions.tolist()) == [0, 0, 3]
    assert events.customers.values.to_list() == ["7", "c1"]


def test_times_of_parts_may_be_of_several_zones(folder: Path) -> None:
    parts = folder / "events"
    parquet(parts / "part-0.parquet", event_id="e1")
    for number, zone in ((1, "Europe/Paris"), (2, "+02:00")):
        frame = pl.DataFrame([EVENT | {"at": AT, "event_id": f"e{number + 1}"}])
        elsewhere = frame.with_columns(pl.col("at").dt.convert_time_zone(zone))
        elsewhere.write_parquet(parts / f"part-{number}.parquet")

    events = read_dataset(folder, strict=True).events

    assert events.at_us.tolist() == [to_us(AT)] * 3


def test_csv_parts_may_be_packed_or_of_no_bytes(folder: Path) -> None:
    parts = folder / "events.csv"
    write_csv(parts / "part-0.csv", [event(event_id="e1")])
    packed = write_csv(parts / "part-1.csv", [event(event_id="e2")])
    (parts / "part-1.csv.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    (parts / "part-2.csv").write_bytes(b"")

    assert read_dataset(folder, strict=True).events.event_ids.to_list() == ["e1", "e2"]


def test_a_row_of_a_part_is_counted_through_the_parts(folder: Path) -> None:
    parts = folder / "events"
    first = write_csv(parts / "part-0.csv", [event(event_id="e1"), event(event_id="e2")])
    first.write_text(first.read_text(encoding="utf-8") + "one,field\n", encoding="utf-8")
    write_csv(parts / "part-1.csv", [event(event_id="e4"), event(event_id="e5", type="buy")])

    dataset = read_dataset(folder)

    found = [(fault.file, fault.row, fault.code) for fault in dataset.faults]
    assert found == [
        ("events", 3, FaultCode.MALFORMED_ROW),
        ("events", 5, FaultCode.UNKNOWN_TYPE),
    ]
    assert "part-0.csv, line 4" in dataset.faults.first(1)[0].reason
    assert sorted(dataset.events.event_ids) == ["e1", "e2", "e4"]


def test_a_packed_csv_file_is_a_table(folder: Path) -> None:
    packed = write_csv(folder / "plain.csv", [EVENT]).read_bytes()
    (folder / "events.csv.gz").write_bytes(gzip.compress(packed))

    assert len(read_dataset(folder, strict=True).events) == 1


def no_part(events: Path) -> None:
    (events / "_SUCCESS").write_bytes(b"")


def delta(events: Path) -> None:
    (events / "_delta_log").mkdir()
    parquet(events / "part-0.parquet")


def of_two_kinds(events: Path) -> None:
    parquet(events / "part-0.parquet")
    write_csv(events / "part-1.csv", [EVENT])


def of_another_kind(events: Path) -> None:
    (events / "part-0.json").write_text("{}", encoding="utf-8")


def of_no_bytes(events: Path) -> None:
    (events / "part-0.parquet").write_bytes(b"")


def of_other_zones(events: Path) -> None:
    parquet(events / "part-0.parquet")
    parquet(events / "part-1.parquet", at=datetime(2025, 1, 2))


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (no_part, "events: is a folder without a part"),
        (delta, "events: is a table of Delta"),
        (of_two_kinds, "events: is a folder with parts of several kinds"),
        (
            of_another_kind,
            "events: is a folder with 'part-0.json', which is none of .parquet, .csv",
        ),
        (of_no_bytes, "part-0.parquet: is not a readable Parquet file"),
        (of_other_zones, "events: is a folder whose parts have columns of several types: 'at'"),
    ],
)
def test_a_folder_that_is_no_table_is_refused_with_the_reason(
    folder: Path, write: Callable[[Path], None], reason: str
) -> None:
    (folder / "events").mkdir()
    write(folder / "events")

    with pytest.raises(DatasetError, match=reason):
        read_dataset(folder)


@pytest.mark.parametrize("name", ["Events.csv", "events.tsv", "events.csv.zip", "events.json"])
def test_a_file_that_is_nearly_a_table_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")

    with pytest.raises(DatasetError, match=rf"no events.parquet or events.csv, and .* {name} \["):
        read_dataset(folder)


HEADER = "event_id,customer_id,sale_id,type,at"
ROW = "e1,c1,s1,view,2025-01-02T00:00:00Z"


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{HEADER}\n{ROW}\n".encode(),
        f'\ufeff"event_id"{HEADER.removeprefix("event_id")}\r\n{ROW}\r\n'.encode(),
        f"{HEADER}\r{ROW}\r".encode(),
        f"{HEADER}\n{ROW}".encode(),
    ],
    ids=["mark", "quoted after a mark", "returns", "no last line end"],
)
def test_what_editors_do_to_a_csv_file_is_read(folder: Path, content: bytes) -> None:
    (folder / "events.csv").write_bytes(content)

    assert len(read_dataset(folder, strict=True).events) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{HEADER}\n{ROW}\n".replace(",", ";").encode(), "events.csv: has ';' between"),
        (f"{HEADER}\n{ROW}\n".replace(",", "\t").encode(), r"has '\\t' between"),
        (f"sep=;\n{HEADER}\n".encode(), "has ';' between"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), "events.csv: is UTF-16"),
        (b"", "events.csv: is empty"),
    ],
)
def test_a_csv_file_of_another_dialect_is_refused_with_the_reason(
    folder: Path, content: bytes, reason: str
) -> None:
    (folder / "events.csv").write_bytes(content)

    with pytest.raises(DatasetError, match=reason):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("columns", "code", "got"),
    [
        ({"price": "12,50"}, FaultCode.WRONG_TYPE, "'12,50'"),
        ({"price": "12 €"}, FaultCode.WRONG_TYPE, "'12 €'"),
        ({"price": "1,299.00"}, FaultCode.WRONG_TYPE, "'1,299.00'"),
        ({"price": "-5"}, FaultCode.NEGATIVE_NUMBER, "'-5'"),
        ({"opens_at": "31/01/2025 18:00"}, FaultCode.UNPARSABLE_TIME, "'31/01/2025 18:00'"),
        ({"opens_at": "45688.75"}, FaultCode.UNPARSABLE_TIME, "'45688.75'"),
        ({"closes_at": "2024-01-01T00:00:00Z"}, FaultCode.CLOSES_BEFORE_OPENING, "'2024-01-01"),
        ({"opens_at": "0001-01-01T00:00:00Z"}, FaultCode.OUT_OF_RANGE, "'0001-01-01"),
    ],
)
def test_values_as_office_programs_write_them_are_named_with_what_they_are(
    tmp_path: Path, columns: dict[str, str], code: FaultCode, got: str
) -> None:
    write_dataset(tmp_path, sales=[sale(), sale(sale_id="s2", **columns)])

    (fault,) = read_dataset(tmp_path).faults
    assert (fault.file, fault.row, fault.code) == ("sales.csv", 2, code)
    assert got in fault.reason


def test_a_row_in_another_encoding_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, sales=[SALE | {"title": "Zürich"}, sale(sale_id="s2")])
    text = (path / "sales.csv").read_text(encoding="utf-8")
    (path / "sales.csv").write_bytes(text.encode("latin-1"))

    dataset = read_dataset(tmp_path)

    assert [one.sale_id for one in dataset.sales] == ["s2"]
    assert dataset.faults.with_codes(FaultCode.NOT_UTF8).refused_rows("sales.csv") == [1]
