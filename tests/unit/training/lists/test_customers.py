"""Known customers are those that a request would find."""

import polars as pl

from models.dataset.customers import AttributeColumn, CustomerTable
from models.domain.customer import Window
from tests.logs import HOUR, NOON, Row, event_table
from training.examples.replay import ProfileReplay, WindowReplay
from training.lists.customers import (
    KnownCustomer,
    customers_by_device,
    known_customers,
    packed,
    unpacked,
)

NO_ATTRIBUTES = CustomerTable.none(pl.Series([], dtype=pl.String))


def known(
    rows: list[Row], *, at: int = 0, others: CustomerTable = NO_ATTRIBUTES
) -> dict[str, KnownCustomer]:
    found = known_customers(event_table(rows), others, at_us=NOON + at)
    return {str(one.customer_id): one for one in found}


def test_market_and_device_are_those_of_the_latest_event_that_names_them() -> None:
    rows = [
        Row(at=-3 * HOUR, market="fr", device="mobile"),
        Row(at=-2 * HOUR, market="de"),
        Row(at=-HOUR),
        Row(at=-HOUR, customer="c2"),
        Row(at=HOUR, market="uk", device="desktop"),
    ]

    found = known(rows)

    assert (found["c1"].market, found["c1"].device) == ("de", "mobile")
    assert (found["c2"].market, found["c2"].device) == (None, None)


def test_windows_and_profiles_are_those_of_the_replay() -> None:
    rows = [Row(at=-n * HOUR, customer=f"c{n % 3}", sale=f"s{n}") for n in range(1, 60)]
    events = event_table(rows)
    windows, profiles = WindowReplay(events), ProfileReplay(events)

    found = known(rows)

    for code, customer in enumerate(events.customers.values):
        assert found[customer].window.pack() == windows.window(code, NOON).pack()
        assert found[customer].profile == profiles.profile(code, NOON)


def test_what_is_received_later_is_not_known() -> None:
    rows = [Row(at=-2 * HOUR, received=HOUR), Row(at=-HOUR, customer="c2")]

    assert set(known(rows)) == {"c2"}
    assert set(known(rows, at=HOUR)) == {"c1", "c2"}


def test_customers_with_attributes_alone_are_known() -> None:
    column = AttributeColumn.from_series(pl.Series([40.0, 50.0]))
    others = CustomerTable(pl.Series(["c1", "c9"]), {"age": column})

    found = known([Row(at=-HOUR)], others=others)

    assert found["c9"].profile.attributes == {"age": 50.0}
    assert found["c9"].window.pack() == Window.empty().pack()
    assert len(found) == 2


def test_customers_are_the_same_after_they_were_written() -> None:
    column = AttributeColumn.from_series(pl.Series([0.1, None, 50.0]))
    rows = [Row(at=-n * HOUR, customer=f"c{n % 3}", sale=f"s{n}") for n in range(1, 30)]
    others = CustomerTable(pl.Series(["c0", "c8", "c9"]), {"age": column})
    customers = list(known_customers(event_table(rows), others, at_us=NOON))

    found = list(unpacked(packed(customers)))

    def content(one: KnownCustomer) -> tuple[object, ...]:
        return one.customer_id, one.market, one.device, one.window.pack(), one.profile

    assert [content(one) for one in found] == [content(one) for one in customers]
    assert found[-1].profile.attributes == {"age": 50.0}


def test_customers_of_a_market_come_one_after_the_other() -> None:
    rows = [Row(at=-HOUR, customer=f"c{n}", market=("fr", "de")[n % 2]) for n in range(6)]

    found = known_customers(event_table(rows), NO_ATTRIBUTES, at_us=NOON)

    assert [one.market for one in found] == ["de"] * 3 + ["fr"] * 3


def test_customers_are_counted_by_the_device_of_their_latest_event_that_names_one() -> None:
    rows = [
        Row(at=-3 * HOUR, device="mobile"),
        Row(at=-2 * HOUR, device="tv"),
        Row(at=-HOUR),
        Row(at=HOUR, device="desktop"),
        Row(at=-HOUR, customer="c2", device="mobile"),
        Row(at=-HOUR, customer="c3", device="mobile"),
        Row(at=-HOUR, customer="c4"),
    ]

    assert customers_by_device(event_table(rows), at_us=NOON) == {"mobile": 2, "tv": 1}
