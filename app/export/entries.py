"""Tables of stream entries, under the names of the dataset contract.

Each raises ``ValueError``, ``KeyError`` or ``PolarsError`` if an entry holds something else.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl
from polars.exceptions import PolarsError

from app.export.history import in_contract_order
from app.stores.exposure import unpacked
from models.dataset.schema import EVENTS as EVENT_COLUMNS
from models.dataset.schema import Kind
from models.experiments.exposure_record import STREAM_COLUMNS, Columns, from_json

Entries = Sequence[Mapping[bytes, bytes]]
"""Fields of entries."""

_UNREADABLE: Final = (ValueError, KeyError, OverflowError, PolarsError)

_UTC: Final = pl.Datetime("us", "UTC")
_TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%.f%#z"

# The JSON of an event as the store has it; when it was received is a field of its own.
_JSON_TYPES: Final = {Kind.WHOLE: pl.Int64, Kind.NUMBER: pl.Float64}
_EVENT: Final[Columns] = {
    column.name: _JSON_TYPES.get(column.kind, pl.String)
    for column in EVENT_COLUMNS
    if column.name != "received_at"
}


def event_table(entries: Entries) -> pl.DataFrame:
    """Return events under the dataset contract's names."""
    frame = _json_table([fields[b"e"] for fields in entries], _EVENT)
    received_us = pl.Series("received_at", [int(f[b"r"]) for f in entries], dtype=pl.Int64)
    at = pl.col("at").str.to_datetime(_TIME_FORMAT, time_unit="us", time_zone="UTC")
    return in_contract_order(frame.with_columns(at, received_us.cast(_UTC)), EVENT_COLUMNS)


def exposure_table(entries: Entries) -> pl.DataFrame:
    """Return answers under the names of `ExposureRecord`, ``now`` as a time."""
    lines = [unpacked(fields[b"x"]) for fields in entries]
    return from_json(_json_table(lines, STREAM_COLUMNS))


def erasure_table(entries: Entries) -> pl.DataFrame:
    """Return erasures under the dataset contract's names."""
    customers = pl.Series("customer_id", [f[b"c"].decode() for f in entries], dtype=pl.String)
    erased_us = pl.Series("erased_at", [int(f[b"r"]) for f in entries], dtype=pl.Int64)
    return pl.DataFrame([customers, erased_us.cast(_UTC)])


def merge_table(entries: Entries) -> pl.DataFrame:
    """Return merges under the dataset contract's names."""
    guests = pl.Series("guest_id", [f[b"g"].decode() for f in entries], dtype=pl.String)
    customers = pl.Series("customer_id", [f[b"c"].decode() for f in entries], dtype=pl.String)
    merged_us = pl.Series("merged_at", [int(f[b"r"]) for f in entries], dtype=pl.Int64)
    return pl.DataFrame([guests, customers, merged_us.cast(_UTC)])


def readable_rows(
    table: Callable[[Entries], pl.DataFrame],
    entries: Entries,
    *,
    names: Sequence[str],
    needed: Sequence[str],
) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows of the entries that can be read, and the others by name and reason.

    Args:
        table: Makes a table of entries.
        entries: Entries, shape ``(n,)``.
        names: A name of each, shape ``(n,)``.
        needed: Columns without which a row says nothing.
    """
    try:
        frame = table(entries)
        absent = [name for name in needed if frame[name].null_count()]
        if absent:
            msg = f"without {', '.join(absent)}"
            raise ValueError(msg)
    except _UNREADABLE as exc:
        if len(entries) == 1:
            reason = str(exc).partition("\n")[0]
            return table([]), [f"{names[0]}: {reason or type(exc).__name__}"]
        # By halves: a few unreadable entries of many thousands are found in little time.
        middle = len(entries) // 2
        first, bad = readable_rows(table, entries[:middle], names=names[:middle], needed=needed)
        rest, more = readable_rows(table, entries[middle:], names=names[middle:], needed=needed)
        return pl.concat([first, rest]), bad + more
    return frame, []


def _json_table(lines: list[bytes], schema: Columns) -> pl.DataFrame:
    frame = pl.read_ndjson(io.BytesIO(b"\n".join(lines)), schema=schema)
    if frame.height != len(lines):
        msg = "no JSON object on one line"
        raise ValueError(msg)
    return frame
