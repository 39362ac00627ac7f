"""Keeps the rows that were left out, as they stood, so that none is lost in silence."""

from pathlib import Path
from typing import Final

from models.dataset.faults import Effect, FaultReport

DEFAULT_NAME: Final = "quarantine.parquet"


def write_quarantine(faults: FaultReport, target: Path) -> Path | None:
    """Write the faults of rows that were left out, with the rows.

    Without such rows, a file of an earlier run is removed: it would tell of faults that are
    no more.

    Args:
        faults: The report of a reading.
        target: A file that ends in ``.csv`` or ``.parquet``, or a folder for
            `DEFAULT_NAME`.

    Returns:
        The file written, one row per fault: ``file, row, column, code, reason, record`` with
        the row as JSON; None if no row was left out.

    Raises:
        OSError: If the file cannot be written.
    """
    path = target if target.suffix in {".csv", ".parquet"} else target / DEFAULT_NAME
    rows = faults.having(Effect.ROW).table.drop("effect")
    if not rows.height:
        path.unlink(missing_ok=True)
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if path.suffix == ".csv":
            rows.write_csv(file)
        else:
            rows.write_parquet(file)
    return path
