"""Profiles of all customers at the last night's cut, in one file."""

import io
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.events import EventTable
from models.events import from_us
from models.profile import Profile, night_floor
from training.nightly.ledger import write_durably
from training.replay import ProfileReplay

FILE: Final = "profiles.parquet"


def write_profiles(events: EventTable, until_us: int, *, directory: Path) -> Path:
    """Write what the night before a moment knows of every customer.

    Columns ``customer_id`` and ``profile``, packed as `models.profile.Profile.pack` does;
    customers of whom nothing was received before the night are left out.

    Args:
        events: The event table.
        until_us: The moment, microseconds since the epoch.
        directory: Holds one folder a night, named by its day.

    Returns:
        The file.
    """
    replay = ProfileReplay(events)
    customers: list[str] = events.customers.values.to_list()
    packed = [replay.profile(code, until_us).pack() for code in range(len(customers))]
    frame = pl.DataFrame(
        {"customer_id": customers, "profile": packed},
        schema={"customer_id": pl.String, "profile": pl.Binary},
    ).filter(pl.col("profile") != Profile.empty().pack())
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    night = from_us(night_floor(until_us)).date().isoformat()
    path = directory / night / FILE
    write_durably(path, buffer.getvalue())
    return path
