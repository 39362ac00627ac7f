"""Writes small datasets of the contract for tests."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, str]

SALE = {"sale_id": "s1", "opens_at": "2025-01-01T00:00:00Z"}
EVENT = {
    "event_id": "e1",
    "customer_id": "c1",
    "sale_id": "s1",
    "type": "view",
    "at": "2025-01-02T00:00:00Z",
}


def sale(**columns: str) -> Row:
    """Return a good sale with other or further columns."""
    return SALE | columns


def event(**columns: str) -> Row:
    """Return a good event with other or further columns."""
    return EVENT | columns


def write_csv(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows under the columns that any of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_dataset(
    directory: Path, *, sales: Sequence[Row] = (SALE,), events: Sequence[Row] = (EVENT,)
) -> Path:
    """Write a dataset of CSV files and return its folder."""
    write_csv(directory / "sales.csv", sales)
    write_csv(directory / "events.csv", events)
    return directory
