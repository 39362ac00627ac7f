"""Adoption of existing files: those of a directory before its first export become the first part.

A shop can train on a dataset of its own, load it, serve, and export into the same directory:
training then reads the old and the new events.
"""

from pathlib import Path
from typing import Final

import polars as pl

from app.export.part import ExportError, is_written, list_parts, part_path, write_table
from models.dataset.conversion import convert
from models.dataset.erasures import Erasures, read_erasures
from models.dataset.events import read_events
from models.dataset.faults import FaultReport
from models.dataset.merges import read_merges
from models.dataset.schema import ERASURES, EVENTS, MERGES, Column, Kind
from models.dataset.tables import read_table, table_path

GIVEN: Final = "given-"
"""Prefix of adopted files, which are kept among the parts."""

CONTRACTS: Final = {"events": EVENTS, "merges": MERGES, "erasures": ERASURES}

_FIRST: Final = 0
_UTC: Final = pl.Datetime("us", "UTC")


def adopt(out: Path, name: str, *, parts: Path) -> int:
    """Copy a table that no export wrote into the first part of its kind.

    The file itself is kept unchanged among the parts. Returns the number of rows copied.

    Raises:
        DatasetError: If the file cannot be used.
        ExportError: If rows of it would be left out.
    """
    path = table_path(out, name)
    if path is None:
        return 0
    if list_parts(parts, name):
        # Adopted already; a run that was killed before its last step left the file here.
        if not is_written(path):
            keep_aside(path, parts)
        return 0
    table = read_table(path)
    if name == "events":
        _, faults = read_events(table, None, erasures=Erasures.none())
    elif name == "merges":
        _, faults = read_merges(table, Erasures.none())
    else:
        _, faults = read_erasures(table)
    refuse_faulty(faults, path)
    frame, faults = convert(table, CONTRACTS[name])
    if faults.unusable():
        msg = f"{path} cannot be used: see `python -m training validate --data {path.parent}`"
        raise ExportError(msg)
    frame = in_contract_order(frame, CONTRACTS[name])
    # The part first: a run that is killed in between finds it, and does not adopt the file again.
    write_table(part_path(parts, name, number=_FIRST), frame, cursors={})
    keep_aside(path, parts)
    return frame.height


def keep_aside(path: Path, parts: Path) -> None:
    """Move a file of the operator to the parts."""
    path.replace(parts / f"{GIVEN}{path.name}")


def in_contract_order(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    """Select the columns of a contract in its order, with times in microseconds as times."""
    times = [column.name for column in columns if column.kind is Kind.TIME]
    return frame.select(
        pl.col(column.name).cast(_UTC) if column.name in times else pl.col(column.name)
        for column in columns
    )


def refuse_faulty(faults: FaultReport, path: Path) -> None:
    """Check that no row of a file would be left out.

    Raises:
        ExportError: If a row would be.
    """
    n_refused = sum(faults.n_refused().values())
    if n_refused:
        msg = (
            f"{path}: {n_refused} rows would be left out; `python -m training validate --data "
            f"{path.parent}` names them: repair or remove them, and export again"
        )
        raise ExportError(msg)
