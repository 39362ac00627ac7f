"""Profile writer: the profiles of all customers as of the last midnight, in one file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from models.arrays.atomic_file import write_file
from models.dataset.profile_file import PROFILES_FILE, CustomerProfile, profiles_to_bytes
from models.dataset.reading import Dataset
from models.domain.event import from_us
from models.domain.profile import Profile, night_floor
from training.examples.replay import ProfileReplay


def write_profiles(dataset: Dataset, until_us: int, *, directory: Path) -> Path:
    """Write what the night before a moment knows of every customer.

    Customers without attributes of whom nothing was received before the night are left out.

    Args:
        dataset: Events and customers.
        until_us: The moment, microseconds since the epoch.
        directory: Holds one folder a night, named by its day.

    Returns:
        The file.
    """
    night = from_us(night_floor(until_us)).date().isoformat()
    path = directory / night / PROFILES_FILE
    write_file(path, profiles_to_bytes(_profiles(dataset, until_us)))
    return path


def _profiles(dataset: Dataset, until_us: int) -> Iterator[CustomerProfile]:
    replay = ProfileReplay(dataset.events)
    seen: set[str] = set()
    for code, customer_id in enumerate(dataset.events.customers.values):
        last_us = replay.last_us(code, until_us)
        if last_us is not None:
            seen.add(customer_id)
            yield CustomerProfile(customer_id, replay.profile(code, until_us), last_us)
    customers = dataset.customers
    for row, customer_id in enumerate(customers.customer_ids if customers else ()):
        attributes = customers.attributes(row) if customers and customer_id not in seen else {}
        if attributes:
            profile = replace(Profile.empty(), attributes=attributes)
            yield CustomerProfile(customer_id, profile, until_us)
