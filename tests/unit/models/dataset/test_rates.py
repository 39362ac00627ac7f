"""Amounts in several currencies become one by rates given as data, or nothing is learned."""

from pathlib import Path

import pytest

from models.dataset import DatasetError, read_dataset
from models.dataset.faults import FaultCode
from tests.datasets import event, sale, write_csv, write_dataset

RATES = [
    {"currency": "CHF", "rate": "1.10", "at": "2025-02-01T00:00:00Z"},
    {"currency": "chf", "rate": "1.05", "at": "2024-12-01T00:00:00Z"},
]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Sales in euros and francs, one of them opened before the first rate."""
    early = "2024-01-01T00:00:00Z"
    sales = [
        sale(price="100", margin="10", currency="EUR"),
        sale(sale_id="s2", price="100", original_price="200", margin="-10", currency="CHF"),
        sale(sale_id="s3", price="100", currency="CHF", opens_at=early),
        sale(sale_id="s4", price="100"),
    ]
    late = "2025-02-02T00:00:00Z"
    events = [
        event(event_id="e1", type="purchase", price="100", revenue="200"),
        event(event_id="e2", type="purchase", price="100", revenue="200", sale_id="s2"),
        event(event_id="e3", type="purchase", revenue="200", sale_id="s2", at=late),
    ]
    return write_dataset(tmp_path, sales=sales, events=events)


def test_a_mixture_without_rates_can_be_read_and_not_learned_from(shop: Path) -> None:
    dataset = read_dataset(shop)

    assert dataset.faults.counts() == {FaultCode.MIXED_CURRENCIES: 1}
    assert [one.price for one in dataset.sales] == [100.0] * 4
    with pytest.raises(DatasetError, match="add a table `rates`"):
        dataset.require_trainable()


def test_sales_are_converted_by_the_rate_at_their_opening(shop: Path) -> None:
    write_csv(shop / "rates.csv", RATES)

    dataset = read_dataset(shop)

    dataset.require_trainable()
    amounts = [(one.price, one.original_price, one.margin) for one in dataset.sales]
    assert amounts == [
        (100.0, None, 10.0),
        (105.0, 210.0, -10.5),
        (105.0, None, None),
        (100.0, None, None),
    ]
    assert [one.currency for one in dataset.sales] == ["EUR", "EUR", "EUR", None]


def test_events_are_converted_by_the_rate_at_their_time(shop: Path) -> None:
    write_csv(shop / "rates.csv", RATES)

    events = read_dataset(shop).events

    assert events.revenues.tolist() == pytest.approx([200.0, 210.0, 220.0])
    assert events.prices[:2].tolist() == [100.0, 105.0]


def test_a_currency_without_a_rate_is_still_a_mixture(shop: Path) -> None:
    write_csv(shop / "rates.csv", [{**RATES[0], "currency": "USD"}])

    assert FaultCode.MIXED_CURRENCIES in read_dataset(shop).faults.counts()


def test_a_faulty_rate_is_left_out_and_named(shop: Path) -> None:
    write_csv(shop / "rates.csv", [*RATES, {**RATES[0], "rate": "0"}])

    assert read_dataset(shop).faults.counts() == {FaultCode.OUT_OF_RANGE: 1}


def test_two_rates_of_a_currency_from_one_time_are_refused(shop: Path) -> None:
    """Which of them holds is not known; the same rate twice says nothing else."""
    write_csv(shop / "rates.csv", [*RATES, {**RATES[0], "currency": "chf", "rate": "1.2"}])

    with pytest.raises(DatasetError) as error:
        read_dataset(shop)

    assert (
        "rates.csv, row 3: rate of CHF from 2025-02-01 00:00 is 1.2 here, and 1.1 in an earlier row"
        in str(error.value)
    )
    write_csv(shop / "rates.csv", [*RATES, RATES[0]])
    assert not read_dataset(shop).faults.counts()


def test_a_first_rate_later_than_all_that_it_converts_is_noted(shop: Path) -> None:
    """The events of CHF end on 2025-02-02, its sales opened before."""
    late = [{"currency": "CHF", "rate": "1.1", "at": "2035-02-01T00:00:00Z"}]
    write_csv(shop / "rates.csv", late)

    [fault] = read_dataset(shop).faults

    assert fault.code is FaultCode.LATE_RATE
    assert fault.reason.startswith("the first rate of CHF is of 2035-02-01 00:00, later than all")
    assert "its 2 sales and their events, the last at 2025-02-02 00:00" in fault.reason


def test_a_first_rate_at_the_last_event_is_not_late(shop: Path) -> None:
    write_csv(shop / "rates.csv", [{"currency": "CHF", "rate": "1", "at": "2025-02-02T00:00:00Z"}])

    assert not read_dataset(shop).faults.counts()
