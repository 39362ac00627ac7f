"""The profiles of a night: of customers with events before it, and of those with attributes."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from models.dataset.profile_file import read_profiles
from models.dataset.reading import read_dataset
from models.domain.event import to_us
from models.domain.profile import Profile
from tests.datasets import event, write_csv, write_dataset
from training.nightly.profiles import write_profiles

NOON = to_us(datetime(2025, 1, 3, 12, tzinfo=UTC))
EVENTS = [
    event(event_id="e1", customer_id="before", at="2025-01-02T10:00:00Z"),
    event(event_id="e2", customer_id="after", at="2025-01-03T10:00:00Z"),
    event(event_id="e3", customer_id="newcomer", at="2025-01-03T11:00:00Z"),
]
CUSTOMERS = [
    {"customer_id": "before", "age": "41"},
    {"customer_id": "newcomer", "age": "29"},
    {"customer_id": "silent", "age": "35"},
    {"customer_id": "bare", "age": ""},
]


def test_attributes_are_written_of_customers_with_and_without_events(tmp_path: Path) -> None:
    write_csv(write_dataset(tmp_path, events=EVENTS) / "customers.csv", CUSTOMERS)

    path = write_profiles(read_dataset(tmp_path), NOON, directory=tmp_path / "profiles")

    found = {one.customer_id: one for one in read_profiles(path)}
    assert {name: one.profile.attributes for name, one in found.items()} == {
        "before": {"age": 41.0},
        "newcomer": {"age": 29.0},
        "silent": {"age": 35.0},
    }
    assert found["newcomer"].profile == replace(Profile.empty(), attributes={"age": 29.0})
    assert (found["silent"].last_us, path.parent.name) == (NOON, "2025-01-03")
    assert sum(found["before"].profile.counts) == 1
