"""Profile writer: the profiles of all customers as of the last midnight, in one file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from models.arrays.atomic_file import write_file
from models.dataset.guest_events import with_guests
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
    merges = dataset.events.merges.known(until_us)
    events = replace(dataset.events, merges=merges)
    ids = with_guests(events).customers.values
    replay, guests_of = ProfileReplay(events), merges.guests_of(ids)
    # A guest who was merged has no profile of their own: it is in that of the customer.
    seen: set[str] = set(merges.guest_ids)
    for code, customer_id in enumerate(ids):
        last_us = replay.last_us(code, until_us)
        if last_us is not None and customer_id not in seen:
            seen.add(customer_id)
            guests = tuple(str(ids[guest]) for guest, _ in guests_of.get(code, ()))
            yield CustomerProfile(customer_id, replay.profile(code, until_us), last_us, guests)
    customers = dataset.customers
    for row, customer_id in enumerate(customers.customer_ids if customers else ()):
        attributes = customers.attributes(row) if customers and customer_id not in seen else {}
        if attributes:
            profile = replace(Profile.empty(), attributes=attributes)
            yield CustomerProfile(customer_id, profile, until_us)
