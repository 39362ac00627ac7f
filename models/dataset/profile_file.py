"""Profile file (``profiles.parquet``): the profiles of all customers as of one night.

The nightly run writes it, and ``python -m app load-profiles`` loads it into the store.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from polars.exceptions import PanicException, PolarsError

from models.arrays.parquet import read_parquet
from models.domain.errors import UserError
from models.domain.profile import Profile

PROFILES_FILE: Final = "profiles.parquet"

_SCHEMA: Final = {
    "customer_id": pl.String,
    "profile": pl.Binary,
    "last_us": pl.Int64,
    "guests": pl.List(pl.String),
}


class ProfileFileError(UserError):
    """A file without valid profiles; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class CustomerProfile:
    """Profile of a customer as of a night.

    Attributes:
        customer_id: The customer.
        profile: Totals of events received before midnight.
        last_us: Time of the last of these events, microseconds since the epoch.
        guests: Guests of the customer whose events it counts.
    """

    customer_id: str
    profile: Profile
    last_us: int
    guests: tuple[str, ...] = ()


def profiles_to_bytes(customers: Iterable[CustomerProfile]) -> bytes:
    """Serialise profiles as Parquet, one row per customer; see `read_profiles`."""
    rows = [(one.customer_id, one.profile.pack(), one.last_us, one.guests) for one in customers]
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(buffer)
    return buffer.getvalue()


def newest_profiles(directory: Path) -> Path:
    """Return the file of the last night: folders are named by their day.

    Raises:
        ProfileFileError: If there is none.
    """
    # Days in ISO format sort by time.
    found = sorted(directory.glob(f"*/{PROFILES_FILE}"))
    if not found:
        msg = (
            f"no {PROFILES_FILE} of a night in {directory}: `python -m training nightly` writes it"
        )
        raise ProfileFileError(msg)
    return found[-1]


def read_profiles(path: Path) -> Iterator[CustomerProfile]:
    """Read what `profiles_to_bytes` wrote.

    Raises:
        ProfileFileError: If the file cannot be read or is malformed.
    """
    try:
        frame = read_parquet(path)
    except (OSError, PolarsError, PanicException) as exc:
        reason = str(exc).splitlines()[0]
        msg = (
            f"{path} cannot be read as profiles: {reason}: remove its folder, which leaves those "
            "of the night before, until the next night writes new ones"
        )
        raise ProfileFileError(msg) from exc
    if frame.schema != pl.Schema(_SCHEMA) or frame.null_count().sum_horizontal().item():
        msg = f"{path} has other columns than {', '.join(_SCHEMA)}, or gaps in them"
        raise ProfileFileError(msg)
    for number, (customer_id, packed, last_us, guests) in enumerate(frame.iter_rows(), start=1):
        try:
            profile = Profile.unpack(packed)
        except ValueError as exc:
            msg = f"{path}: row {number}: {exc}"
            raise ProfileFileError(msg) from exc
        yield CustomerProfile(customer_id, profile, last_us, tuple(guests))
