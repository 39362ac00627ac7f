"""Files of events are read in parts of rows, and give what they give when read whole."""

import json
from pathlib import Path

import polars as pl
import pytest

from models.dataset import FaultCode
from models.dataset.checks import ROW
from training.importers.imported import Imported
from training.importers.mapping import Csv, read_mapping
from training.importers.source import Sources
from training.importers.table import Files, import_table

MAPPING = """
time_format: s
events:
  - {where: {kind: seen}, types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t}}
  - {where: {kind: paid}, types: {purchase: {}}, columns: {customer_id: c, sale_id: s, at: t}}
sales_from_events: {brand: brand, price: price}
"""
N_ROWS = 100_003
"""More than are read at a time, of either kind of text."""


def rows() -> list[dict[str, str]]:
    """Events that go back in time, whose brands come late and change, the last one of no kind."""
    made = [
        {
            "c": f"c{number % 1_000}",
            "s": f"s{number % 7}",
            "t": str(10 * N_ROWS - number),
            "kind": "seen" if number % 10 else "paid",
            "brand": ["", "red", "blue"][number % 3],
            "price": str(number % 5) if number > N_ROWS // 2 else "",
        }
        for number in range(N_ROWS)
    ]
    made[-1]["kind"] = "other"
    return made


def written(path: Path) -> Path:
    """Write the rows, and after them a line that cannot be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = rows()
    if path.suffix == ".csv":
        lines = [",".join(made[0]), *(",".join(row.values()) for row in made), "broken"]
    else:
        # Fields come and go, as they do in JSON.
        kept = ({name: text for name, text in row.items() if text} for row in made)
        lines = [*map(json.dumps, kept), "{broken"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def imported_from(events: Path, out: Path) -> Imported:
    out.mkdir()
    mapping = out / "map.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    return import_table(Files([events]), read_mapping(str(mapping)), out=out)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_file_in_parts_gives_the_bytes_of_a_folder_that_is_read_whole(
    tmp_path: Path, kind: str
) -> None:
    path = written(tmp_path / f"parts.{kind}" / f"log.{kind}")

    parts = imported_from(path, tmp_path / "parts")
    whole = imported_from(path.parent, tmp_path / "whole")

    for table in ("events.parquet", "sales.parquet"):
        out, other = (tmp_path / name / table for name in ("parts", "whole"))
        assert out.read_bytes() == other.read_bytes()
    assert [*parts.n_rows.values()] == [*whole.n_rows.values()] == [N_ROWS + 1]
    assert [*parts.unused.values()] == [*whole.unused.values()] == [[]]
    assert parts.faults.counts() == {FaultCode.MALFORMED_ROW: 1, FaultCode.UNKNOWN_TYPE: 1}
    assert [fault.row for fault in parts.faults] == [fault.row for fault in whole.faults]


def test_no_part_of_a_csv_file_has_more_than_100_000_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv")

    parts = [*Sources([path], Csv()).stream(path, has_lists=False)]

    assert max(part.frame.height for part in parts) == 100_000
    assert [one for part in parts for one in part.frame[ROW]] == [*range(1, N_ROWS + 1)]


@pytest.mark.parametrize("n_rows", [0, 1_000_000, 1_000_001])
def test_parts_of_a_parquet_file_are_its_rows_in_order(tmp_path: Path, n_rows: int) -> None:
    path = tmp_path / "log[1].parquet"
    pl.DataFrame({"t": pl.int_range(n_rows, eager=True)}).write_parquet(path)

    parts = [*Sources([path], Csv()).stream(path, has_lists=False)]

    assert len(parts) == max(-(-n_rows // 500_000), 1)
    assert pl.concat(part.frame[ROW] for part in parts).equals(
        pl.int_range(1, n_rows + 1, eager=True)
    )


def test_a_time_that_no_line_has_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"c": "a", "s": "x", "t": 60}\n' * 2, encoding="utf-8")
    mapping = tmp_path / "map.yaml"
    mapping.write_text(
        "time_format: s\nevents: {types: {view: {}}, columns: {customer_id: c, sale_id: s, at: t,"
        " received_at: later}}",
        encoding="utf-8",
    )

    import_table(Files([path]), read_mapping(str(mapping)), out=tmp_path)

    assert pl.read_parquet(tmp_path / "events.parquet")["received_at"].to_list() == [None, None]
