"""Times of a mapping: ISO 8601, epoch numbers and forms of strptime, to UTC."""

from typing import Final

import polars as pl

from models.domain.times import NAIVE, read_times
from training.importers.mapping import EPOCHS, ISO, MappingError

UTC: Final = pl.Datetime("us", "UTC")
_DAY: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
# Directives of strptime that a time of day needs.
_CLOCK: Final = ("%H", "%I", "%T", "%R", "%X", "%c", "%s", "%+")
_MAX_US: Final = 2.0**63


def moments(raw: pl.Expr, dtype: pl.DataType, *, form: str, zone: str | None) -> pl.Expr:
    """Read times.

    Args:
        raw: The values; texts, numbers, dates or datetimes.
        dtype: Their type.
        form: See `Mapping.time_format`.
        zone: Zone of times without an offset, None if they cannot be read.

    Returns:
        UTC times, null where a value is none of the form, or lies in the hour that a zone skips
        in spring. Of the hour that comes twice in autumn the first is taken. A date is its
        midnight.

    Raises:
        MappingError: If the type does not fit the form.
    """
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return raw.dt.convert_time_zone("UTC").cast(UTC)
    is_local = isinstance(dtype, pl.Date | pl.Datetime)
    if zone is None and "%z" not in form and (is_local or "%" in form):
        msg = "its times carry no offset: say `time_zone`, such as Europe/Paris, in the mapping"
        raise MappingError(msg)
    if is_local:
        return _in_zone(raw.cast(pl.Datetime("us")), zone)
    if form in EPOCHS:
        # As floats, which are exact below 2^53: microseconds until the year 2255.
        micros = raw.cast(pl.Float64, strict=False) * EPOCHS[form]
        return pl.when(micros.abs() < _MAX_US).then(micros.round()).cast(pl.Int64).cast(UTC)
    if not isinstance(dtype, pl.String | pl.Null):
        msg = f"its times are of type {dtype}: say `time_format` {', '.join(EPOCHS)} in the mapping"
        raise MappingError(msg)
    return _iso(raw, zone) if form == ISO else _in_form(raw, form, zone)


def _in_form(text: pl.Expr, form: str, zone: str | None) -> pl.Expr:
    if "%z" in form:
        return text.str.strptime(UTC, form, strict=False)
    if any(directive in form for directive in _CLOCK):
        return _in_zone(text.str.strptime(pl.Datetime("us"), form, strict=False), zone)
    day = text.str.strptime(pl.Date, form, strict=False)
    return _in_zone(day.cast(pl.Datetime("us")), zone)


def _iso(text: pl.Expr, zone: str | None) -> pl.Expr:
    text = text.str.strip_chars()
    is_naive = text.str.contains(NAIVE)
    clock = pl.when(text.str.contains(_DAY)).then(text + pl.lit("T00:00")).otherwise(text)
    completed = pl.when(is_naive).then(clock + pl.lit("Z")).otherwise(text)
    micros = completed.map_batches(read_times, return_dtype=pl.Int64)
    local = _in_zone(micros.cast(pl.Datetime("us")), zone)
    return pl.when(is_naive).then(local).otherwise(micros.cast(UTC))


def _in_zone(local: pl.Expr, zone: str | None) -> pl.Expr:
    if zone is None:
        return pl.lit(None, dtype=UTC)
    placed = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC")
