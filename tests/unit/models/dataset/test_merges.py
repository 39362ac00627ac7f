"""Merges of guests into customers, as read from files."""

from pathlib import Path

import pytest

from models.dataset import FaultCode, read_dataset
from models.dataset.guest_events import with_guests
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import from_us
from tests.datasets import event, write_csv, write_dataset

AT = "2025-03-01T12:00:00Z"


def merge(guest_id: str, customer_id: str, merged_at: str = AT) -> dict[str, str]:
    return {"guest_id": guest_id, "customer_id": customer_id, "merged_at": merged_at}


def test_merges_are_read_with_their_times_and_the_first_of_equal_ones_counts(
    tmp_path: Path,
) -> None:
    write_dataset(tmp_path, events=[event(customer_id="v1")])
    later = merge("v1", "c1", "2025-03-02T12:00:00Z")
    write_csv(tmp_path / "merges.csv", [later, merge("v1", "c1"), merge("v2", "c1")])

    dataset = read_dataset(tmp_path)

    found = dataset.events.merges
    assert found.guest_ids.to_list() == ["v1", "v2"]
    assert found.customer_ids.to_list() == ["c1", "c1"]
    assert from_us(found.merged_us[0].item()).isoformat() == "2025-03-01T12:00:00+00:00"
    assert not dataset.faults.n_refused()


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([merge("v1", "v1"), merge("v2", "c1")], ["v2"]),
        ([merge("v1", "c1"), merge("v1", "c2")], ["v1"]),
        ([merge("v1", "c1"), merge("c1", "c2")], ["c1"]),
    ],
)
def test_a_guest_has_one_customer_and_a_customer_is_no_guest(
    tmp_path: Path, rows: list[dict[str, str]], kept: list[str]
) -> None:
    write_dataset(tmp_path)
    write_csv(tmp_path / "merges.csv", rows)

    dataset = read_dataset(tmp_path)

    assert dataset.events.merges.guest_ids.to_list() == kept
    assert dataset.faults.n_refused() == {"merges.csv": 1}
    assert set(dataset.faults.counts()) == {FaultCode.CONFLICTING_MERGE}


def test_merges_of_an_erased_customer_are_left_out_and_later_ones_are_not(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    write_csv(tmp_path / "erasures.csv", [{"customer_id": "c1", "erased_at": AT}])
    rows = [merge("v1", "c1"), merge("v2", "c1", "2025-03-01T12:00:01Z"), merge("v3", "c2")]
    write_csv(tmp_path / "merges.csv", rows)

    assert read_dataset(tmp_path).events.merges.guest_ids.to_list() == ["v2", "v3"]


@pytest.mark.parametrize("erased", ["v1", "c1"])
def test_erasing_any_id_erases_all_that_were_one_customer_by_then(
    tmp_path: Path, erased: str
) -> None:
    """v3 was merged after the erasure."""
    ids = ("v1", "v2", "v3", "c1", "c2")
    write_dataset(tmp_path, events=[event(event_id=one, customer_id=one) for one in ids])
    later = merge("v3", "c1", "2025-03-02T12:00:00Z")
    write_csv(tmp_path / "merges.csv", [merge("v1", "c1"), merge("v2", "c1"), later])
    write_csv(tmp_path / "erasures.csv", [{"customer_id": erased, "erased_at": AT}])

    dataset = read_dataset(tmp_path)

    assert sorted(dataset.events.event_ids) == ["c2", "v3"]
    assert dataset.events.merges.guest_ids.to_list() == ["v3"]


@pytest.mark.parametrize(("buyer", "refunder"), [("v1", "c1"), ("c1", "v1"), ("v1", "v2")])
def test_one_id_of_a_customer_may_refund_what_another_bought(
    tmp_path: Path, buyer: str, refunder: str
) -> None:
    bought = event(event_id="e1", customer_id=buyer, type="purchase")
    refunded = event(event_id="e2", customer_id=refunder, type="refund", at="2025-03-02T12:00:00Z")
    write_dataset(tmp_path, events=[bought, refunded])
    write_csv(tmp_path / "merges.csv", [merge("v1", "c1"), merge("v2", "c1")])

    dataset = read_dataset(tmp_path)

    assert FaultCode.REFUND_WITHOUT_PURCHASE not in dataset.faults.counts()
    assert not len(net_of_refunds(dataset.events))


def test_two_events_of_one_id_of_before_a_merge_both_count_and_equal_ones_once(
    tmp_path: Path,
) -> None:
    """Windows are sets of whole events: browsers that number theirs from 1 lose none at a merge."""
    moments = {"v1": "2025-03-01T10:00:00Z", "c1": "2025-03-01T11:00:00Z"}
    differing = [event(event_id="1", customer_id=one, at=at) for one, at in moments.items()]
    equal = [event(event_id="2", customer_id=one, at=AT) for one in moments]
    write_dataset(tmp_path, events=[*differing, *equal])
    write_csv(tmp_path / "merges.csv", [merge("v1", "c1")])

    events = with_guests(read_dataset(tmp_path).events)

    ids = events.customers.values.gather(events.customers.codes).to_list()
    assert ids.count("c1") == 3
