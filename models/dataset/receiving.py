"""Receipt times of events (``received_at``), and detection of bulk imports.

Receipt times of a bulk import are replaced by the times of the events.
"""

from collections.abc import Collection
from typing import Final

import polars as pl

from models.dataset.faults import Fault, FaultCode, FaultReport
from models.domain.event import from_us
from models.domain.units import DAY_US, HOUR_US

# Chosen: fewer late events in an hour may come from phones that were offline.
_MIN_LATE: Final = 20
# Chosen, not measured: the share of events an hour late above which a note is written.
_LATE_SHARE: Final = 0.1


_LATE_US: Final = pl.col("received_at") - pl.col("at")
_HOUR: Final = pl.col("received_at") // HOUR_US


def receipts_by_hour(frame: pl.DataFrame) -> pl.DataFrame:
    """Summarise the receipts of each hour, for `imported_hours`; parts of a log may be joined.

    Args:
        frame: Converted events with ``at`` and ``received_at`` in microseconds.

    Returns:
        Per hour of receipt ``hour, n, n_old, n_late, first_us, last_us``, and the first and last
        receipt, ``first_received_us, last_received_us``.
    """
    return (
        frame.select("at", "received_at")  # a filter copies all columns that it gets
        .filter(pl.col("received_at").is_not_null())
        .group_by(hour=_HOUR)
        .agg(
            n=pl.len(),
            n_old=(_LATE_US > DAY_US).sum(),
            n_late=(_LATE_US > HOUR_US).sum(),
            first_us=pl.col("at").min(),
            last_us=pl.col("at").max(),
            first_received_us=pl.col("received_at").min(),
            last_received_us=pl.col("received_at").max(),
        )
    )


def imported_hours(receipts: pl.DataFrame) -> frozenset[int]:
    """Return the hours since the epoch in which a history was imported.

    In such an hour at least 20 events, and most of all, were received more than a day late, from
    more than one day.

    Args:
        receipts: Rows of `receipts_by_hour`, of all parts of the log.
    """
    hours = receipts.group_by("hour").agg(
        pl.col("n", "n_old").sum(), pl.col("first_us").min(), pl.col("last_us").max()
    )
    mostly_old = (pl.col("n_old") >= _MIN_LATE) & (2 * pl.col("n_old") > pl.col("n"))
    is_spread = pl.col("last_us") - pl.col("first_us") > DAY_US
    return frozenset(hours.filter(mostly_old & is_spread)["hour"].to_list())


def with_received(
    frame: pl.DataFrame, *, file: str, as_given: bool, imported: Collection[int] | None = None
) -> tuple[pl.DataFrame, FaultReport]:
    """Add the time of receipt of each event.

    Events of the hour of an import count as received when they happened. Otherwise the history of
    an import would be unknown at the time of any of its slates.

    Args:
        frame: Converted events with ``at`` and ``received_at`` in microseconds.
        file: Name of the file, for the report.
        as_given: Use the times of imports as given, as the service does.
        imported: The hours of imports, where the frame is a part of a log; None: see
            `imported_hours`.

    Returns:
        The frame with ``received_us``, and notes on imports and on late events.
    """
    receipts = receipts_by_hour(frame)
    hours = imported_hours(receipts) if imported is None else imported
    received = pl.coalesce("received_at", "at")
    if not as_given:
        is_imported = _HOUR.is_in(list(hours)).fill_null(value=False)
        received = pl.when(is_imported).then("at").otherwise(received)
    notes = notes_on_receipts(receipts, hours, n_rows=frame.height, file=file)
    return frame.with_columns(received_us=received), notes


def notes_on_receipts(
    receipts: pl.DataFrame, imported: Collection[int], *, n_rows: int, file: str
) -> FaultReport:
    """Return the notes on imports and on late events of a log.

    Args:
        receipts: Rows of `receipts_by_hour`, of all parts of the log.
        imported: See `imported_hours`.
        n_rows: Number of events.
        file: Name of the file, for the report.
    """
    notes: list[Fault] = []
    is_imported = pl.col("hour").is_in(list(imported))
    of_imports, others = receipts.filter(is_imported), receipts.filter(~is_imported)
    if of_imports.height:
        first, last = of_imports["first_received_us"].min(), of_imports["last_received_us"].max()
        reason = (
            f"received_at of {_share(int(of_imports['n'].sum()), n_rows)} is that of an import,"
            f" between {_written(first)} and {_written(last)}: they count as received"
            " when they happened; leave received_at empty where no server took the event"
        )
        notes.append(_received_fault(file, FaultCode.IMPORTED, reason))
    n_late = int(others["n_late"].sum())
    if n_late >= max(_MIN_LATE, _LATE_SHARE * n_rows):
        reason = (
            f"received_at of {_share(n_late, n_rows)} lies more than an hour after at:"
            " they are used from that time on; if it is the time at which a warehouse loaded them,"
            " leave it empty"
        )
        notes.append(_received_fault(file, FaultCode.RECEIVED_LATE, reason))
    return FaultReport.from_faults(notes)


def _received_fault(file: str, code: FaultCode, reason: str) -> Fault:
    return Fault(file=file, column="received_at", code=code, reason=reason)


def _share(n: int, total: int) -> str:
    return f"{n:,} of {total:,} events ({n / total:.0%})"


def _written(received_us: object) -> str:
    return from_us(int(str(received_us))).isoformat(timespec="seconds")
