"""Time formats: one parser for the files of a dataset and for requests."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import polars as pl
from pydantic import AwareDatetime, BeforeValidator

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)

_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = "[0-9]{2}:[0-9]{2}(?P<seconds>:[0-9]{2}(?:[.,][0-9]{1,9})?)?"
# BigQuery and Ruby end their times with the name of the one zone that is an offset.
_UTC: Final = " UTC"
_OFFSET: Final = f"(?P<offset>[Zz]|{_UTC}|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)"
_TIME: Final = re.compile(f"{_DATE}[Tt ]{_CLOCK}{_OFFSET}")
_LEAP: Final = ":60"
# Chosen: what an error quotes of a text that may be of any length.
_SHOWN_CHARS: Final = 80

NAIVE: Final = f"^{_DATE}(?:[Tt ]{_CLOCK})?$"
"""Pattern of a time without an offset."""

FORMS: Final = "`2026-11-29T10:00:00Z` or `2026-11-29 11:00:00.25+01`"


class NaiveTimeError(ValueError):
    """A time without an offset, which is ambiguous."""

    def __init__(self, text: str) -> None:
        """Name the text and what it lacks."""
        super().__init__(f"{text!r} carries no offset: end it with Z, or with one such as +01:00")


def read_time(text: str) -> datetime:
    """Read a time with its offset.

    ISO 8601 date and time in extended form, separated by ``T`` or a blank. Seconds are optional;
    60 is the second after 59. Up to nine decimals after a point or a comma are truncated to six.
    The offset is ``Z``, ``UTC`` after a blank, ``+hh``, ``+hhmm`` or ``+hh:mm``. A bare number is
    refused, as its unit is unknown.

    Args:
        text: The time, without surrounding text.

    Returns:
        The time, with the given offset.

    Raises:
        NaiveTimeError: If there is no offset.
        ValueError: If it has another format, or is not in the calendar.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        if re.match(NAIVE, text):
            raise NaiveTimeError(text)
        msg = f"{text[:_SHOWN_CHARS]!r} is no time such as {FORMS}"
        raise ValueError(msg)
    offset = "Z" if found["offset"] == _UTC else found["offset"].upper()
    before = text[: found.start("offset")]
    if (found["seconds"] or "").startswith(_LEAP):
        at = found.start("seconds")
        # `datetime` knows no leap second: the one after 59 is taken.
        moment = datetime.fromisoformat(f"{before[:at]}:59{before[at + len(_LEAP) :]}{offset}")
        try:
            return moment + _SECOND
        except OverflowError as exc:
            msg = f"the second after {moment.isoformat()} does not lie before the year 10000"
            raise ValueError(msg) from exc
    return datetime.fromisoformat(before + offset)


def read_times(column: pl.Series) -> pl.Series:
    """Read a column of texts by `read_time`.

    Args:
        column: Texts, of any length ``n``.

    Returns:
        Microseconds since the epoch, null where there is no text or one that is no time.
    """
    values: list[int | None] = []
    for text in column.to_list():
        try:
            values.append(None if text is None else (read_time(text) - EPOCH) // MICROSECOND)
        except ValueError:
            values.append(None)
    return pl.Series(column.name, values, dtype=pl.Int64)


def _in_utc(value: object) -> object:
    if not isinstance(value, str):
        return value
    moment = read_time(value)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment  # west of Greenwich the calendar ends later than in UTC


Time = Annotated[AwareDatetime, BeforeValidator(_in_utc)]
"""A time of a request, converted to UTC if representable; texts are read by `read_time`."""
