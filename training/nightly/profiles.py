"""Profile writer: the profiles of all customers as of the last midnight, in one file."""

from pathlib import Path

from models.arrays.atomic_file import write_file
from models.dataset.events import EventTable
from models.dataset.profile_file import PROFILES_FILE, CustomerProfile, profiles_to_bytes
from models.domain.event import from_us
from models.domain.profile import night_floor
from training.examples.replay import ProfileReplay


def write_profiles(events: EventTable, until_us: int, *, directory: Path) -> Path:
    """Write what the night before a moment knows of every customer.

    Customers of whom nothing was received before the night are left out.

    Args:
        events: The event table.
        until_us: The moment, microseconds since the epoch.
        directory: Holds one folder a night, named by its day.

    Returns:
        The file.
    """
    night = from_us(night_floor(until_us)).date().isoformat()
    path = directory / night / PROFILES_FILE
    replay = ProfileReplay(events)
    customers: list[str] = events.customers.values.to_list()
    known = (
        CustomerProfile(customer_id, replay.profile(code, until_us), last_us)
        for code, customer_id in enumerate(customers)
        if (last_us := replay.last_us(code, until_us)) is not None
    )
    write_file(path, profiles_to_bytes(known))
    return path
