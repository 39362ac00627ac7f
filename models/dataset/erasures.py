"""Erasures of customers (right to be forgotten), applied when a dataset is read.

Rows of an erased customer from before the erasure are left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

import polars as pl

from models.dataset.checks import ROW, Check, find_faults, without_refused
from models.dataset.conversion import convert
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.schema import ERASURES
from models.dataset.tables import Table

# No column of a file that we read can have this name.
_UNTIL: Final = "\x00erased"
# In place of the column's name, so that no report repeats the id.
_CUSTOMER: Final = "customer"


@dataclass(frozen=True, slots=True, eq=False)
class Erasures:
    """Erasure times of customers.

    Attributes:
        until: Columns ``customer_id`` and the last ``erased_at`` in microseconds since the
            epoch, one row per erased customer.
    """

    until: pl.DataFrame

    @classmethod
    def none(cls) -> Self:
        """Return no erasures."""
        return cls(pl.DataFrame(schema={"customer_id": pl.String, _UNTIL: pl.Int64}))

    @classmethod
    def from_moments(cls, moments: Iterable[tuple[str, int]]) -> Self:
        """Return erasures of customers at times in microseconds since the epoch; the last count."""
        frame = pl.DataFrame(list(moments), schema=cls.none().until.schema, orient="row")
        return cls(frame.group_by("customer_id").agg(pl.col(_UNTIL).max()))

    def moments(self) -> Iterator[tuple[str, int]]:
        """Yield erased customers with the time, in microseconds since the epoch."""
        yield from self.until.sort("customer_id").iter_rows()

    def apply(
        self, frame: pl.DataFrame, faults: FaultReport, *, file: str, times: tuple[str, ...] = ()
    ) -> tuple[pl.DataFrame, FaultReport]:
        """Leave out rows of erased customers from before their erasure.

        Args:
            frame: Converted rows with ``customer_id``.
            faults: Faults found in them; those of rows that are left out are removed as well, as
                they quote the row.
            file: Name of the file, for the report.
            times: Columns in microseconds; a row is left out if any of them is null or before its
                customer's erasure. Without any, all rows of the customer are left out.

        Returns:
            The other rows, and the faults, with a note for every row left out.
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
        note = Check(FaultCode.ERASED, _CUSTOMER, goes, "not be of a customer who was erased later")
        notes = find_faults(joined, (note,), file=file)
        if not len(notes):
            return frame, faults
        # Faults quote the rows, so those of erased rows go as well.
        rows = notes.table["row"].implode()
        others = (pl.col("file") != file) | ~pl.col("row").is_in(rows).fill_null(value=False)
        kept = frame.filter(~pl.col(ROW).is_in(rows))
        return kept, FaultReport(faults.table.filter(others)) + notes


def read_erasures(table: Table) -> tuple[Erasures, FaultReport]:
    """Validate the rows of an erasures file.

    Returns:
        The erasures, none if the file as a whole cannot be used, and the faults.
    """
    frame, faults = convert(table, ERASURES, extra=FaultCode.UNKNOWN_COLUMN)
    if faults.unusable():
        return Erasures.none(), faults
    frame = without_refused(frame, faults, file=table.file)
    last = pl.col("erased_at").max().alias(_UNTIL)
    return Erasures(frame.group_by("customer_id").agg(last)), faults
