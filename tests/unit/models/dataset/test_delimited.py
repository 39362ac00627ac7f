"""CSV files of all sorts: only the rows that cannot be read are lost, by number."""

import gzip
import json
from pathlib import Path

import pytest

from models.dataset import Dataset, DatasetError, FaultCode, read_dataset
from tests.datasets import write_dataset

HEADER = b"event_id,customer_id,sale_id,type,at\n"


def row(event_id: bytes, customer: bytes = b"c1") -> bytes:
    return event_id + b"," + customer + b",s1,view,2025-01-02T00:00:00Z\n"


def read(directory: Path, events: bytes) -> Dataset:
    write_dataset(directory)
    (directory / "events.csv").write_bytes(events)
    return read_dataset(directory)


def test_a_row_that_is_not_utf8_is_lost_alone_and_its_byte_named(tmp_path: Path) -> None:
    content = HEADER + row(b"e1") + row("é2".encode()) + row(b"e3", b"Ren\xe9") + row(b"e4")

    dataset = read(tmp_path, content)

    (fault,) = dataset.faults
    byte = content.index(b"\xe9,")
    assert (fault.row, fault.code) == (3, FaultCode.NOT_UTF8)
    assert fault.reason.startswith(f"line 4: not UTF-8 at byte {byte} of the file: save")
    assert "'René' by cp1250, cp1252" in fault.reason
    assert json.loads(fault.record or "")[1] == r"Ren\xe9"
    assert sorted(dataset.events.event_ids) == ["e1", "e4", "é2"]


def test_a_header_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"events.csv: is not UTF-8 at byte 5, in the header: .*été"
    ):
        read(tmp_path, b"type,\xe9t\xe9\n")


def test_of_many_rows_that_cannot_be_read_three_are_listed_and_the_others_counted(
    tmp_path: Path,
) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").write_bytes(b"sale_id,opens_at\n" + b"s\xe9,2025-01-01\n" * 40)

    with pytest.raises(DatasetError) as raised:
        read_dataset(tmp_path, strict=True)

    lines = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:4]] == [f"sales.csv, row {n}" for n in (1, 2, 3)]
    assert lines[4] == "sales.csv: 37 more [not_utf8]"


TEXT = (HEADER + row(b"e1")).decode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TEXT.encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "is UTF-16: save it as UTF-8"),
        (TEXT.encode("utf-16-le"), "has NULs in its header, as UTF-16 has"),
        (gzip.compress(TEXT.encode(), mtime=0), "is compressed by gzip: name it .csv.gz"),
        (b"PK\x03\x04" + bytes(30), "is a spreadsheet or a zip archive: save it as CSV"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "is a spreadsheet: save it as CSV"),
        (b"PAR1" + bytes(30), "is Parquet: name it .parquet"),
    ],
)
def test_a_file_of_another_kind_is_named_by_what_it_is(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(DatasetError, match=f"events.csv: {reason}"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"at,at\n", "names columns twice: 'at'"),
        (b'"at" x,type\n', "no CSV header"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("bad", [b"e2,c1\n", row(b"e2")[:-1] + b",more\n", b'"e2"x,c,s,v,t\n'])
def test_a_row_of_another_shape_is_lost_alone(tmp_path: Path, bad: bytes) -> None:
    dataset = read(tmp_path, HEADER + row(b"e1") + bad + row(b"e3"))

    assert [(f.row, f.code) for f in dataset.faults] == [(2, FaultCode.MALFORMED_ROW)]
    assert sorted(dataset.events.event_ids) == ["e1", "e3"]


def test_rows_that_an_open_quote_swallowed_are_named_by_their_lines(tmp_path: Path) -> None:
    dataset = read(tmp_path, HEADER + row(b"e1") + b'"e2,c1\n' + row(b"e3") + row(b"e4"))

    (fault,) = dataset.faults
    assert (fault.row, fault.code) == (2, FaultCode.MALFORMED_ROW)
    assert fault.reason.startswith("lines 3 to 5: not CSV")


def test_quotes_byte_order_marks_blank_lines_and_line_ends_are_understood(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + HEADER + b"\n" + row(b'"a,""b"') + row(b"e2")

    dataset = read(tmp_path, content.replace(b"\n", b"\r\n"))

    assert list(dataset.faults) == []
    assert sorted(dataset.events.event_ids) == ['a,"b', "e2"]
