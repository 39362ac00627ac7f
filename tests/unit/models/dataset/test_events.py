"""The event table: order, codes, keys, and one rule of acceptance with the service."""

from pathlib import Path

import numpy as np
import polars as pl

from models.dataset import Labels, read_dataset
from models.dataset.event_columns import keys_for
from models.dataset.faults import FaultCode
from models.domain.event import MAX_AGE_US, MAX_AHEAD_US, NO_SALE, Refusal, accept, from_us, key
from tests.datasets import event, sale, write_dataset

NOW_US = 1_735_776_000_000_000  # 2025-01-02T00:00:00Z


def at(offset_us: int) -> str:
    return from_us(NOW_US + offset_us).isoformat()


def test_events_are_sorted_by_receipt_then_time_then_key(tmp_path: Path) -> None:
    times = {"a": (5, 9), "b": (4, 9), "c": (9, 9), "d": (0, 8), "e": (4, 9)}
    rows = [
        event(event_id=name, at=at(happened), received_at=at(received))
        for name, (happened, received) in times.items()
    ]
    write_dataset(tmp_path, events=rows)

    events = read_dataset(tmp_path).events

    ties = sorted("be", key=key)
    assert events.event_ids.to_list() == ["d", *ties, "a", "c"]
    assert (events.received_us - NOW_US).tolist() == [8, 9, 9, 9, 9]
    assert (events.at_us - NOW_US).tolist() == [0, 4, 4, 5, 9]


def test_every_column_follows_its_event(tmp_path: Path) -> None:
    rows = [
        event(
            event_id="late",
            at=at(1),
            customer_id="c2",
            session_id="v2",
            type="impression",
            sale_id="s2",
            exposure_id="x",
            position="3",
            price="9.5",
            market="fr",
            device="phone",
            propensity="0.25",
            variant="a",
        ),
        event(event_id="early", type="purchase", quantity="2", revenue="19"),
    ]
    write_dataset(tmp_path, sales=[sale(), sale(sale_id="s2")], events=rows)

    events = read_dataset(tmp_path).events

    assert events.event_ids.to_list() == ["early", "late"]
    assert events.event_keys.tolist() == [key("early"), key("late")]
    assert events.sale_keys.tolist() == [key("s1"), key("s2")]
    assert events.kinds.tolist() == [4, 0]
    assert events.customers.values.to_list() == ["c1", "c2"]
    assert events.customers.codes.tolist() == [0, 1]
    for labels, value in (
        (events.sessions, "v2"),
        (events.exposures, "x"),
        (events.markets, "fr"),
        (events.devices, "phone"),
        (events.variants, "a"),
    ):
        assert (labels.codes.tolist(), labels.values.to_list()) == ([-1, 0], [value])
    assert events.positions.tolist() == [0, 3]
    assert events.quantities.tolist() == [2, 0]
    np.testing.assert_array_equal(events.prices, [np.nan, 9.5])
    np.testing.assert_array_equal(events.revenues, [19, np.nan])
    np.testing.assert_array_equal(events.propensities, [np.nan, 0.25])


def test_labels_are_sorted_and_missing_ones_have_no_code() -> None:
    labels = Labels.from_series(pl.Series(["b", None, "a", "b"]))

    assert labels.values.to_list() == ["a", "b"]
    assert labels.codes.tolist() == [1, -1, 0, 1]


def test_keys_of_a_column_are_the_keys_of_its_values() -> None:
    identifiers = ["a", "é", "x" * 128, "a"]

    assert keys_for(pl.Series(identifiers)).tolist() == [key(one) for one in identifiers]


def test_columns_are_accepted_by_the_rule_of_single_events(tmp_path: Path) -> None:
    """Offline and online must refuse the same events, to the microsecond."""
    offsets = [edge + step for edge in (MAX_AHEAD_US, -MAX_AGE_US, 0) for step in (-1, 0, 1)]
    rows = [
        event(event_id=f"e{row}", at=at(offset), received_at=at(0))
        for row, offset in enumerate(offsets, start=1)
    ]
    write_dataset(tmp_path, sales=[sale(opens_at="2024-01-01T00:00:00Z")], events=rows)

    faults = {fault.row: fault.code.value for fault in read_dataset(tmp_path).faults}

    expected = {
        row: refusal.value
        for row, offset in enumerate(offsets, start=1)
        if (refusal := accept(NOW_US + offset, NOW_US)) is not None
    }
    assert faults == expected
    assert set(expected.values()) == {Refusal.FUTURE.value, Refusal.TOO_OLD.value}


def test_refunds_without_a_purchase_are_noted(tmp_path: Path) -> None:
    rows = [
        event(event_id="p", type="purchase", at=at(0)),
        event(event_id="r1", type="refund", at=at(1)),
        event(event_id="r2", type="refund", at=at(2)),
    ]
    write_dataset(tmp_path, events=rows)

    faults = read_dataset(tmp_path).faults

    assert faults.counts() == {FaultCode.REFUND_WITHOUT_PURCHASE: 1}
    assert "1 of 2 refunds have no purchase" in str(next(iter(faults)))
    assert "'r2'" in str(next(iter(faults)))


def test_a_purchase_is_returned_after_its_sale_has_closed(tmp_path: Path) -> None:
    rows = [
        event(event_id="p", type="purchase", at=at(1)),
        event(event_id="r", type="refund", at=at(3)),
    ]
    write_dataset(tmp_path, sales=[sale(closes_at=at(2))], events=rows)

    assert not len(read_dataset(tmp_path).faults)


def test_only_searches_and_opened_mails_need_no_sale(tmp_path: Path) -> None:
    rows = [
        event(event_id="e1", type="search", sale_id=""),
        event(event_id="e2", type="email_open", sale_id=""),
        event(event_id="e3", type="dislike", sale_id=""),
        event(event_id="e4", type="favourite"),
    ]
    write_dataset(tmp_path, events=rows)

    dataset = read_dataset(tmp_path)

    assert sorted(dataset.events.event_ids) == ["e1", "e2", "e4"]
    assert sorted(dataset.events.sale_keys.tolist()) == [NO_SALE, NO_SALE, key("s1")]
    assert dataset.faults.counts() == {FaultCode.MISSING_VALUE: 1}
