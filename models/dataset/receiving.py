"""Receipt times of events (``received_at``), and detection of bulk imports.

Receipt times of a bulk import are replaced by the times of the events.
"""

from typing import Final

import polars as pl

from models.dataset.faults import Fault, FaultCode, FaultReport
from models.domain.event import from_us
from models.domain.units import DAY_US, HOUR_US

# Chosen: fewer late events in an hour may come from phones that were offline.
_MIN_LATE: Final = 20
# Chosen, not measured: the share of events an hour late above which a note is written.
_LATE_SHARE: Final = 0.1


def with_received(
    frame: pl.DataFrame, *, file: str, as_given: bool
) -> tuple[pl.DataFrame, FaultReport]:
    """Add the time of receipt of each event.

    An hour in which at least 20 events, and most of all, were received more than a day late, from
    more than one day, is that of an import: its events count as received when they happened.
    Otherwise the history of an import would be unknown at the time of any of its slates.

    Args:
        frame: Converted events with ``at`` and ``received_at`` in microseconds.
        file: Name of the file, for the report.
        as_given: Use the times of imports as given, as the service does.

    Returns:
        The frame with ``received_us``, and notes on imports and on late events.
    """
    late_us = pl.col("received_at") - pl.col("at")
    hour = pl.col("received_at") // HOUR_US
    n_old = (late_us > DAY_US).sum().over(hour)
    spread_us = (pl.col("at").max() - pl.col("at").min()).over(hour)
    mostly_old = (n_old >= _MIN_LATE) & (2 * n_old > pl.len().over(hour))
    imported = mostly_old & (spread_us > DAY_US)
    marked = frame.with_columns(
        imported=imported & pl.col("received_at").is_not_null(),
        late=(late_us > HOUR_US).fill_null(value=False),
    )
    received = pl.coalesce("received_at", "at")
    if not as_given:
        received = pl.when("imported").then("at").otherwise(received)
    notes = FaultReport.from_faults(_notes(marked, file))
    return marked.with_columns(received_us=received).drop("imported", "late"), notes


def _notes(marked: pl.DataFrame, file: str) -> list[Fault]:
    notes: list[Fault] = []
    imported = marked.filter("imported")
    if imported.height:
        moments = imported["received_at"]
        reason = (
            f"received_at of {_share(imported.height, marked.height)} is that of an import, between"
            f" {_written(moments.min())} and {_written(moments.max())}: they count as received"
            " when they happened; leave received_at empty where no server took the event"
        )
        notes.append(_received_fault(file, FaultCode.IMPORTED, reason))
    n_late = marked.filter(pl.col("late") & ~pl.col("imported")).height
    if n_late >= max(_MIN_LATE, _LATE_SHARE * marked.height):
        reason = (
            f"received_at of {_share(n_late, marked.height)} lies more than an hour after at:"
            " they are used from that time on; if it is the time at which a warehouse loaded them,"
            " leave it empty"
        )
        notes.append(_received_fault(file, FaultCode.RECEIVED_LATE, reason))
    return notes


def _received_fault(file: str, code: FaultCode, reason: str) -> Fault:
    return Fault(file=file, column="received_at", code=code, reason=reason)


def _share(n: int, total: int) -> str:
    return f"{n:,} of {total:,} events ({n / total:.0%})"


def _written(received_us: object) -> str:
    return from_us(int(str(received_us))).isoformat(timespec="seconds")
