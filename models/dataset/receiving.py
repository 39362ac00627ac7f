"""When events were received; a time that is an import's says nothing of that."""

from typing import Final

import polars as pl

from models.catalogue.event_counts import HOUR_US
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.domain.event import from_us

_DAY_US: Final = 24 * HOUR_US
_N_AT_LEAST: Final = 20
"""Late events; fewer may be those of a telephone that was off for a day."""
_LATE_SHARE: Final = 0.1
"""Of all events; a shop whose events come as they happen has fewer that are an hour late."""


def with_received(
    frame: pl.DataFrame, *, file: str, as_given: bool
) -> tuple[pl.DataFrame, FaultReport]:
    """Add when each event was received.

    An hour in which at least 20 events and most of all were received more than a day late, of
    more than one day, is that of an import: what it brought counts as received when it
    happened. Else nothing of a history would be known before any of its slates.

    Args:
        frame: Converted events with ``at`` and ``received_at`` in microseconds.
        file: Name of the file, for the report.
        as_given: Take imports at their word, as the service had to.

    Returns:
        The frame with ``received_us``, and notes on imports and on late events.
    """
    late_us = pl.col("received_at") - pl.col("at")
    hour = pl.col("received_at") // HOUR_US
    n_old = (late_us > _DAY_US).sum().over(hour)
    spread_us = (pl.col("at").max() - pl.col("at").min()).over(hour)
    mostly_old = (n_old >= _N_AT_LEAST) & (2 * n_old > pl.len().over(hour))
    imported = mostly_old & (spread_us > _DAY_US)
    marked = frame.with_columns(
        imported=imported & pl.col("received_at").is_not_null(),
        late=(late_us > HOUR_US).fill_null(value=False),
    )
    received = pl.coalesce("received_at", "at")
    if not as_given:
        received = pl.when("imported").then("at").otherwise(received)
    notes = FaultReport.of(_notes(marked, file))
    return marked.with_columns(received_us=received).drop("imported", "late"), notes


def _notes(marked: pl.DataFrame, file: str) -> list[Fault]:
    notes: list[Fault] = []
    imported = marked.filter("imported")
    if imported.height:
        moments = imported["received_at"]
        reason = (
            f"received_at of {_share(imported.height, marked.height)} is an import's, between"
            f" {_written(moments.min())} and {_written(moments.max())}: they count as received"
            " when they happened; leave received_at empty where no server took the event"
        )
        notes.append(_note(file, FaultCode.IMPORTED, reason))
    n_late = marked.filter(pl.col("late") & ~pl.col("imported")).height
    if n_late >= max(_N_AT_LEAST, _LATE_SHARE * marked.height):
        reason = (
            f"received_at of {_share(n_late, marked.height)} lies more than an hour after at:"
            " nothing is learned from them before; if it says when a warehouse loaded them,"
            " leave it empty"
        )
        notes.append(_note(file, FaultCode.RECEIVED_LATE, reason))
    return notes


def _note(file: str, code: FaultCode, reason: str) -> Fault:
    return Fault(file=file, column="received_at", code=code, reason=reason)


def _share(n: int, total: int) -> str:
    return f"{n:,} of {total:,} events ({n / total:.0%})"


def _written(received_us: object) -> str:
    return from_us(int(str(received_us))).isoformat(timespec="seconds")
