"""Every kind of faulty row is found, with file, row and reason, and left out."""

from pathlib import Path

import pytest

from models.dataset import DatasetError, FaultCode, read_dataset
from tests.datasets import Row, event, sale, write_csv, write_dataset

GOOD_SALE = sale(sale_id="good")
GOOD_EVENT = event(event_id="good", sale_id="good")

FAULTY_SALES = [
    (sale(sale_id=""), "sale_id", FaultCode.MISSING_VALUE),
    (sale(sale_id="x" * 129), "sale_id", FaultCode.WRONG_LENGTH),
    (sale(sale_id="a\nb"), "sale_id", FaultCode.CONTROL_CHARACTER),
    (sale(sale_id="good"), "sale_id", FaultCode.DUPLICATE_SALE),
    (sale(opens_at=""), "opens_at", FaultCode.MISSING_VALUE),
    (sale(opens_at="yesterday"), "opens_at", FaultCode.UNPARSABLE_TIME),
    (sale(opens_at="2025-02-30T00:00:00Z"), "opens_at", FaultCode.UNPARSABLE_TIME),
    (sale(opens_at="2025-01-01T00:00:00"), "opens_at", FaultCode.NAIVE_TIME),
    (sale(opens_at="2025-01-01"), "opens_at", FaultCode.NAIVE_TIME),
    (sale(opens_at="1969-12-31T23:59:59Z"), "opens_at", FaultCode.OUT_OF_RANGE),
    (sale(closes_at="2025-01-01T00:00:00Z"), "closes_at", FaultCode.CLOSES_BEFORE_OPENING),
    (sale(price="-0.01"), "price", FaultCode.NEGATIVE_NUMBER),
    (sale(price="nan"), "price", FaultCode.NOT_FINITE),
    (sale(price="inf"), "price", FaultCode.NOT_FINITE),
    (sale(price="12,50"), "price", FaultCode.WRONG_TYPE),
    (sale(price="1.1e12"), "price", FaultCode.OUT_OF_RANGE),
    (sale(original_price="5e-324"), "original_price", FaultCode.OUT_OF_RANGE),
    (sale(margin="-1.1e12"), "margin", FaultCode.OUT_OF_RANGE),
    (sale(margin="-1e-9"), "margin", FaultCode.OUT_OF_RANGE),
    (sale(stock="1.5"), "stock", FaultCode.WRONG_TYPE),
    (sale(stock="-1"), "stock", FaultCode.NEGATIVE_NUMBER),
    (sale(currency="EURO"), "currency", FaultCode.WRONG_LENGTH),
    (sale(currency="E"), "currency", FaultCode.WRONG_LENGTH),
    (sale(title="x" * 1001), "title", FaultCode.WRONG_LENGTH),
    (sale(title=" \u2003\x1c"), "title", FaultCode.EMPTY_TEXT),
    (sale(markets="fr||de"), "markets", FaultCode.EMPTY_TEXT),
    (sale(markets="fr,de"), "markets", FaultCode.WRONG_TYPE),
    (sale(markets="fr; de"), "markets", FaultCode.WRONG_TYPE),
    (sale(markets="['fr', 'de']"), "markets", FaultCode.WRONG_TYPE),
    (sale(markets="f\tr"), "markets", FaultCode.CONTROL_CHARACTER),
    (sale(markets="x" * 129), "markets", FaultCode.WRONG_LENGTH),
    (sale(markets="|".join(map(str, range(64)))), "markets", FaultCode.TOO_MANY_MARKETS),
    (sale(image="a\x00b"), "image", FaultCode.CONTROL_CHARACTER),
    (sale(image="a.jpg||b.jpg"), "image", FaultCode.EMPTY_TEXT),
    (sale(image="|".join(["a.jpg"] * 10)), "image", FaultCode.TOO_MANY_PICTURES),
]

FAULTY_EVENTS = [
    (event(event_id=""), "event_id", FaultCode.MISSING_VALUE),
    (event(customer_id=""), "customer_id", FaultCode.MISSING_VALUE),
    (event(customer_id="\x7f"), "customer_id", FaultCode.CONTROL_CHARACTER),
    (event(session_id="x" * 129), "session_id", FaultCode.WRONG_LENGTH),
    (event(type="buy"), "type", FaultCode.UNKNOWN_TYPE),
    (event(type="View"), "type", FaultCode.UNKNOWN_TYPE),
    (event(at="2025-01-02"), "at", FaultCode.NAIVE_TIME),
    (event(at="1735776000"), "at", FaultCode.UNPARSABLE_TIME),
    (event(received_at="2025-01-01T23:54:59Z"), "at", FaultCode.FUTURE),
    (event(received_at="2025-04-02T00:00:01Z"), "at", FaultCode.TOO_OLD),
    (event(position="0"), "position", FaultCode.OUT_OF_RANGE),
    (event(position="10001"), "position", FaultCode.OUT_OF_RANGE),
    (event(position="first"), "position", FaultCode.WRONG_TYPE),
    (event(quantity="0"), "quantity", FaultCode.OUT_OF_RANGE),
    (event(price="-1"), "price", FaultCode.NEGATIVE_NUMBER),
    (event(revenue="NaN"), "revenue", FaultCode.NOT_FINITE),
    (event(revenue="1e300"), "revenue", FaultCode.OUT_OF_RANGE),
    (event(price="1e-7"), "price", FaultCode.OUT_OF_RANGE),
    (event(propensity="0"), "propensity", FaultCode.OUT_OF_RANGE),
    (event(propensity="1.01"), "propensity", FaultCode.OUT_OF_RANGE),
    (event(propensity="-inf"), "propensity", FaultCode.NOT_FINITE),
]


@pytest.mark.parametrize(("faulty", "column", "code"), FAULTY_SALES)
def test_a_faulty_sale_is_left_out_and_named(
    tmp_path: Path, faulty: Row, column: str, code: FaultCode
) -> None:
    write_dataset(tmp_path, sales=[GOOD_SALE, faulty], events=[GOOD_EVENT])

    dataset = read_dataset(tmp_path)

    found = [(f.file, f.row, f.column, f.code) for f in dataset.faults]
    assert found == [("sales.csv", 2, column, code)]
    assert [one.sale_id for one in dataset.sales] == ["good"]


@pytest.mark.parametrize(("faulty", "column", "code"), FAULTY_EVENTS)
def test_a_faulty_event_is_left_out_and_named(
    tmp_path: Path, faulty: Row, column: str, code: FaultCode
) -> None:
    sales = [sale(), GOOD_SALE]
    write_dataset(
        tmp_path, sales=sales, events=[GOOD_EVENT, event(event_id="2", sale_id="good"), faulty]
    )

    dataset = read_dataset(tmp_path)

    found = [(f.file, f.row, f.column, f.code) for f in dataset.faults]
    assert found == [("events.csv", 3, column, code)]
    assert sorted(dataset.events.event_ids) == ["2", "good"]


@pytest.mark.parametrize(("faulty", "code"), [(row, code) for row, _, code in FAULTY_EVENTS])
def test_strict_reading_stops_at_a_faulty_row(tmp_path: Path, faulty: Row, code: FaultCode) -> None:
    write_dataset(tmp_path, sales=[sale(), GOOD_SALE], events=[GOOD_EVENT, faulty])

    with pytest.raises(DatasetError, match=rf"events.csv, row 2: .*\[{code}\]"):
        read_dataset(tmp_path, strict=True)


def test_strict_reading_stops_at_the_first_file_with_faults(tmp_path: Path) -> None:
    write_dataset(tmp_path, sales=[sale(), sale()], events=[event(type="buy")])

    with pytest.raises(DatasetError, match="duplicate_sale") as stopped:
        read_dataset(tmp_path, strict=True)

    assert {fault.file for fault in stopped.value.faults} == {"sales.csv"}


def test_a_row_with_two_faults_is_left_out_once(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event(), event(event_id="e2", type="buy", position="0")])

    faults = read_dataset(tmp_path).faults

    assert faults.counts() == {FaultCode.OUT_OF_RANGE: 1, FaultCode.UNKNOWN_TYPE: 1}
    assert faults.n_refused() == {"events.csv": 1}


def test_a_reason_holds_no_line_that_a_value_forged(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event(), event(event_id="e2", type="buy\nall is well")])

    reasons = [fault.reason for fault in read_dataset(tmp_path).faults]

    assert len(reasons) == 2
    assert not any("\n" in reason for reason in reasons)


def test_a_repeated_event_counts_once_and_costs_nothing(tmp_path: Path) -> None:
    """Also where every delivery was stamped anew when it was received."""
    again = event(received_at="2025-01-02T00:10:00Z")
    write_dataset(tmp_path, events=[event(), event(), again])

    dataset = read_dataset(tmp_path, strict=True)

    assert dataset.faults.counts() == {FaultCode.DUPLICATE_EVENT: 2}
    assert dataset.events.received_us.tolist() == dataset.events.at_us.tolist()


def test_an_event_id_is_that_of_its_customer(tmp_path: Path) -> None:
    """Two browsers that both count their events from 1 have events of their own."""
    rows = [event(), event(customer_id="c2", type="click"), event(customer_id="c2")]
    write_dataset(tmp_path, events=rows)

    dataset = read_dataset(tmp_path)

    assert [(f.row, f.code) for f in dataset.faults] == [(3, FaultCode.CONFLICTING_EVENT)]
    assert sorted(dataset.events.kinds.tolist()) == [1, 2]


def test_an_event_of_an_unknown_sale_is_kept_and_noted(tmp_path: Path) -> None:
    """The service takes it too: files that leave it out would tell of another past."""
    write_dataset(tmp_path, events=[event(), event(event_id="e2", sale_id="soon")])

    dataset = read_dataset(tmp_path, strict=True)

    assert [(f.row, f.code) for f in dataset.faults] == [(2, FaultCode.UNKNOWN_SALE)]
    assert sorted(dataset.events.event_ids) == ["e1", "e2"]


def test_nothing_can_be_learned_from_events_of_unknown_sales_alone(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event(sale_id="soon")])

    dataset = read_dataset(tmp_path)

    with pytest.raises(DatasetError, match="no_events"):
        dataset.require_trainable()


def test_of_events_that_contradict_each_other_the_first_is_kept(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event(), event(type="click"), event()])

    dataset = read_dataset(tmp_path)

    found = [(f.row, f.code) for f in dataset.faults]
    assert found == [(3, FaultCode.DUPLICATE_EVENT), (2, FaultCode.CONFLICTING_EVENT)]
    assert dataset.events.kinds.tolist() == [1]


@pytest.mark.parametrize(
    ("noted", "code"),
    [
        (event(at="2024-12-31T23:59:59Z"), FaultCode.BEFORE_OPENING),
        (event(at="2025-01-05T00:00:00Z"), FaultCode.AFTER_CLOSE),
        (event(market="us"), FaultCode.OTHER_MARKET),
        (event(type="impression"), FaultCode.NO_POSITION),
        (event(colour="red"), FaultCode.UNKNOWN_COLUMN),
    ],
)
def test_what_is_only_odd_is_noted_and_kept(tmp_path: Path, noted: Row, code: FaultCode) -> None:
    sold = sale(closes_at="2025-01-05T00:00:00Z", markets="fr|de|fr")
    write_dataset(tmp_path, sales=[sold], events=[noted])

    dataset = read_dataset(tmp_path, strict=True)

    assert dataset.faults.counts() == {code: 1}
    assert len(dataset.events) == 1


@pytest.mark.parametrize(
    "good",
    [
        event(type="purchase"),
        event(at="2025-01-02T00:05:00Z", received_at="2025-01-02T00:00:00Z"),
        event(received_at="2025-04-02T00:00:00Z"),
        event(position="1", propensity="1", price="0", quantity="1000000"),
        event(position="10000.0"),
        event(market="anywhere"),
    ],
)
def test_values_at_their_bounds_are_no_faults(tmp_path: Path, good: Row) -> None:
    write_dataset(tmp_path, events=[good])

    assert list(read_dataset(tmp_path).faults) == []


def test_an_event_of_a_market_that_sees_its_sale_is_no_fault(tmp_path: Path) -> None:
    sales = [sale(markets="fr|de"), sale(sale_id="s2", markets="it")]
    events = [event(market="de"), event(event_id="e2", sale_id="s2", market="it")]
    write_dataset(tmp_path, sales=sales, events=events)

    assert list(read_dataset(tmp_path).faults) == []


def with_markets(n_markets: int) -> list[Row]:
    return [sale(sale_id=f"s{number}", markets=f"m{number}") for number in range(1, n_markets + 1)]


def test_more_markets_than_can_be_told_apart_are_a_fault_of_the_file(tmp_path: Path) -> None:
    """No training and no service can use them, so that validation has to say so."""
    most = read_dataset(write_dataset(tmp_path / "most", sales=with_markets(63)))
    assert len(most.sales) == 63

    with pytest.raises(DatasetError, match=r"64 markets.*63.*too_many_markets_together"):
        read_dataset(write_dataset(tmp_path / "more", sales=with_markets(64)))


def test_a_customer_who_stands_twice_is_kept_once(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    customers = [
        {"customer_id": "c1", "since": "2020"},
        {"customer_id": "c1", "since": "2021"},
        {"customer_id": "c2", "since": "2022"},
    ]
    write_csv(tmp_path / "customers.csv", customers)

    dataset = read_dataset(tmp_path)

    assert dataset.faults.counts() == {FaultCode.DUPLICATE_CUSTOMER: 1}
    assert dataset.customers is not None
    assert dataset.customers.customer_ids.to_list() == ["c1", "c2"]
    assert dataset.customers.attributes(0) == {"since": 2020.0}
