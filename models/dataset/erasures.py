"""Customers who were erased: what they did before is read by nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import polars as pl

from models.dataset.checks import ROW, Check, find_faults, without_refused
from models.dataset.conversion import convert
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.schema import ERASURES
from models.dataset.tables import Table

_UNTIL: Final = "\x00erased"
_NOBODY: Final = "customer"
"""Not the column: a report must not repeat the id."""


@dataclass(frozen=True, slots=True, eq=False)
class Erasures:
    """When customers were erased.

    Attributes:
        until: Columns ``customer_id`` and the last ``erased_at`` in microseconds since the
            epoch, one row per erased customer.
    """

    until: pl.DataFrame

    @classmethod
    def none(cls) -> Self:
        """Return the erasures of a dataset in which nobody was erased."""
        return cls(pl.DataFrame(schema={"customer_id": pl.String, _UNTIL: pl.Int64}))

    def moments(self) -> Iterator[tuple[str, int]]:
        """Yield every erased customer with the moment, in microseconds since the epoch."""
        yield from self.until.sort("customer_id").iter_rows()

    def apply(
        self, frame: pl.DataFrame, faults: FaultReport, *, file: str, times: tuple[str, ...] = ()
    ) -> tuple[pl.DataFrame, FaultReport]:
        """Leave out what erased customers did before.

        Args:
            frame: Converted rows with ``customer_id``.
            faults: What was found in them. What it quotes of rows that are left out goes too.
            file: Name of the file, for the report.
            times: Columns in microseconds; a row goes if any of them lies before its
                customer's erasure or says nothing. Without any, all his rows go.

        Returns:
            The other rows, and the faults, with a note for every row that is left out.
        """
        if not self.until.height:
            return frame, faults
        joined = frame.join(self.until, on="customer_id", how="left", maintain_order="left")
        later = (
            pl.all_horizontal(pl.col(time) > pl.col(_UNTIL) for time in times)
            if times
            else pl.lit(value=False)
        )
        goes = pl.col(_UNTIL).is_not_null() & ~later.fill_null(value=False)
        note = Check(FaultCode.ERASED, _NOBODY, goes, "not be of a customer who was erased later")
        notes = find_faults(joined, (note,), file=file)
        if not len(notes):
            return frame, faults
        rows = notes.table["row"].implode()
        others = (pl.col("file") != file) | ~pl.col("row").is_in(rows).fill_null(value=False)
        kept = frame.filter(~pl.col(ROW).is_in(rows))
        return kept, FaultReport.together([FaultReport(faults.table.filter(others)), notes])


def read_erasures(table: Table) -> tuple[Erasures, FaultReport]:
    """Validate the rows of a file of erasures.

    Returns:
        The erasures, none if the file as a whole cannot be used, and the faults.
    """
    frame, faults = convert(table, ERASURES, extra=FaultCode.UNKNOWN_COLUMN)
    if faults.unusable():
        return Erasures.none(), faults
    frame = without_refused(frame, faults, file=table.file)
    last = pl.col("erased_at").max().alias(_UNTIL)
    return Erasures(frame.group_by("customer_id").agg(last)), faults
