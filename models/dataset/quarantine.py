"""Quarantine file: the rows that were left out, unchanged."""

from pathlib import Path
from typing import Final

from models.arrays.atomic_file import atomic_file
from models.dataset.faults import Effect, FaultReport
from models.dataset.tables import TABLES

DEFAULT_NAME: Final = "quarantine.parquet"
_SUFFIXES: Final = (".parquet", ".csv")


def write_quarantine(faults: FaultReport, target: Path) -> Path | None:
    """Write the faults of rows that were left out, with the rows.

    A named file is always written. In a folder, `DEFAULT_NAME` is written if rows were left out,
    otherwise one of an earlier run is removed.

    Args:
        faults: The report of reading a dataset.
        target: A file that ends in ``.csv`` or ``.parquet``, or a folder.

    Returns:
        The file written, one row per fault: ``file, row, column, code, reason, record`` with
        the row as JSON; None if no file was needed.

    Raises:
        ValueError: If the file has the name of a table of a dataset.
        OSError: If the file cannot be written.
    """
    rows = faults.having(Effect.ROW).table.drop("effect")
    path = target
    if target.suffix not in _SUFFIXES:
        path = target / DEFAULT_NAME
        # A file of an earlier run would be taken for this run's.
        if not rows.height:
            path.unlink(missing_ok=True)
            return None
    elif target.stem in TABLES:
        msg = f"{target} has the name of a table of a dataset and could replace it: choose another"
        raise ValueError(msg)
    with atomic_file(path) as file:
        if path.suffix == ".csv":
            rows.write_csv(file)
        else:
            rows.write_parquet(file)
    return path
