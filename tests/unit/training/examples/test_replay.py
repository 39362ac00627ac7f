"""Replay equals what a service that received the same events would hold."""

from dataclasses import replace
from functools import reduce
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalogue.catalogue import build_catalogue
from models.catalogue.event_counts import (
    GRID_US,
    HALF_LIVES_HOURS,
    N_KINDS,
    HalfLives,
    HourlyCounts,
    counts_at,
    grid_floor,
)
from models.dataset.guest_events import with_guests
from models.domain.customer import Window, pack_member
from models.domain.event import KIND, KINDS, EventType, from_us, key
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.domain.recent_impressions import RecentImpressions
from models.pictures.topics import Topics
from tests.builders import picture
from tests.logs import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Row,
    catalogue,
    event_id,
    event_table,
    ids_of,
    merged_log,
    sale,
)
from training.examples.replay import CountReplay, NeighbourReplay, ProfileReplay, WindowReplay

KIND_NAMES = [event_type.value for event_type in KINDS]
COUNTED = KIND_NAMES[:N_KINDS]


@st.composite
def rows(draw: st.DrawFn, *, unit: int, n_moments: int, max_delay: int) -> Row:
    """Few customers, sales and moments: simultaneous and overtaken events are then common."""
    at = draw(st.integers(0, n_moments))
    delay = draw(st.integers(-1, max_delay))
    return Row(
        kind=draw(st.sampled_from(KIND_NAMES)),
        customer=draw(st.sampled_from(["c1", "c2", "c3"])),
        sale=draw(st.sampled_from(["s1", "s2"])),
        at=at * unit,
        received=(at + delay) * unit,
    )


def logs(*, unit: int, n_moments: int, max_delay: int) -> st.SearchStrategy[list[Row]]:
    row = rows(unit=unit, n_moments=n_moments, max_delay=max_delay)
    return st.lists(row, min_size=1, max_size=30)


def shown_until(log: list[Row], customer: str, until_us: int) -> RecentImpressions:
    """What a customer was shown by what was received up to a moment, in plain Python."""
    latest: dict[int, tuple[int, int]] = {}
    for row in log:
        if row.customer == customer and row.kind == "impression" and row.received_us <= until_us:
            stamp = row.at_us // SECOND, row.position or 0
            latest[key(row.sale)] = max(latest.get(key(row.sale), (0, 0)), stamp)
    ordered = sorted((*stamp, sale) for sale, stamp in latest.items())[-128:]
    return RecentImpressions.unpack(
        b"".join(
            sale.to_bytes(8, "big") + at_s.to_bytes(4, "big") + position.to_bytes(2, "big")
            for at_s, position, sale in ordered
        )
    )


def members_received(log: list[Row], customer: str, until_us: int) -> list[bytes]:
    """What a store was sent for a customer up to a moment, event by event."""
    return [
        pack_member(
            key(event_id(index)),
            key(row.sale),
            at_us=row.at_us,
            event_type=EventType(row.kind),
        )
        for index, row in enumerate(log)
        if row.customer == customer and row.kind != "impression" and row.received_us <= until_us
    ]


@given(logs(unit=SECOND, n_moments=5, max_delay=4), st.integers(-2, 10), st.randoms())
def test_a_window_at_any_moment_is_that_of_the_events_received_until_then(
    log: list[Row], second: int, random: Random
) -> None:
    """Events come late, together, out of order; the store is sent them shuffled and twice."""
    events, until_us = event_table(log), NOON + second * SECOND
    replay = WindowReplay(events)

    for code, customer in enumerate(events.customers.values):
        sent = members_received(log, customer, until_us) * 2
        random.shuffle(sent)
        expected = Window.from_members(sent, shown_until(log, customer, until_us))
        assert replay.window(code, until_us).pack() == expected.pack()


@pytest.mark.parametrize("delayed", [False, True])
def test_a_long_window_is_the_last_128_events_received_so_far(
    rng: np.random.Generator, *, delayed: bool
) -> None:
    delays = rng.integers(0, 50, size=400) * delayed
    log = [
        Row(at=index * SECOND, received=(index + int(delay)) * SECOND, sale=f"s{index % 7}")
        for index, delay in enumerate(delays)
    ]
    replay = WindowReplay(event_table(log))

    for second in (0, 100, 127, 128, 129, 250, 399, 500):
        until_us = NOON + second * SECOND
        expected = Window.from_members(members_received(log, "c1", until_us))
        assert replay.window(0, until_us).pack() == expected.pack()


@pytest.mark.parametrize("delayed", [False, True])
def test_of_many_impressions_the_last_128_sales_shown_so_far_are_known(
    rng: np.random.Generator, *, delayed: bool
) -> None:
    delays = rng.integers(0, 50, size=900) * delayed
    log = [
        Row(
            kind="impression",
            at=index * SECOND,
            received=(index + int(delay)) * SECOND,
            sale=f"s{rng.integers(200)}",
            position=1 + index % 10,
        )
        for index, delay in enumerate(delays)
    ]
    replay = WindowReplay(event_table(log))

    for second in (0, 100, 250, 899, 1_000):
        until_us = NOON + second * SECOND
        found = replay.window(0, until_us).shown
        assert found.pack() == shown_until(log, "c1", until_us).pack()
    assert len(found) == 128


@given(logs(unit=HOUR, n_moments=60, max_delay=30), st.integers(0, 100 * 60), st.integers(0, 190))
def test_a_profile_counts_what_was_received_before_the_last_midnight(
    log: list[Row], minute: int, days: int
) -> None:
    log = [row for row in log if row.kind != "refund"] or [Row()]
    events, now_us = event_table(log), NOON + minute * MINUTE + days * DAY
    midnight = now_us - now_us % DAY
    replay = ProfileReplay(events)

    for code, customer in enumerate(events.customers.values):
        known = [r for r in log if r.customer == customer and r.received_us < midnight]
        counts, month = (
            tuple(
                sum(r.kind == name and r.at_us >= midnight - n * DAY for r in known)
                for name in KIND_NAMES
            )
            for n in (180, 30)
        )
        first_us = min((r.at_us for r in known), default=0)
        paid = [r for r in known if r.kind == "purchase"]
        bought = PurchaseHistory.from_purchases(
            np.array([key(r.sale) for r in paid], dtype=np.uint64),
            np.array([r.at_us for r in paid], dtype=np.int64),
        )
        assert replay.profile(code, now_us) == Profile(first_us, counts, bought.pack(), month=month)


@pytest.mark.parametrize(("day", "purchases"), [(1, 2), (2, 2), (3, 1)])
def test_a_purchase_leaves_the_profile_in_the_night_after_its_refund(
    day: int, purchases: int
) -> None:
    bought = [Row(kind="purchase", at=n, sale=f"s{n}") for n in range(2)]
    refund = Row(kind="refund", at=HOUR, received=2 * DAY, sale="s1")
    replay = ProfileReplay(event_table([*bought, refund]))

    profile = replay.profile(0, NOON + day * DAY)

    assert profile.counts[KIND[EventType.PURCHASE]] == purchases


def random_log(rng: np.random.Generator, n: int) -> list[Row]:
    """Events of 16 days, so that some are older than what counters keep."""
    return [
        Row(
            kind=str(rng.choice(COUNTED)),
            sale=f"s{rng.integers(4)}",
            at=int(rng.integers(16 * DAY)),
            customer=f"c{rng.integers(2)}",
        )
        for _ in range(n)
    ]


def counted(log: list[Row]) -> list[Row]:
    """Of a customer, sale, type and hour only the first event, one at a time."""
    first: dict[tuple[str, str, str, int], Row] = {}
    for row in sorted(log, key=lambda row: row.received_us):
        first.setdefault((row.customer, row.sale, row.kind, row.received_us // HOUR), row)
    return [*first.values()]


def test_counts_are_bit_for_bit_those_of_a_store_that_sums_hours(
    rng: np.random.Generator,
) -> None:
    log, shop = random_log(rng, 2_000), catalogue("s0", "s1", "s2", "s3")
    events = event_table(counted(log))
    replay = CountReplay(event_table(log), shop)
    assert len(events) < len(log)

    moments = [rng.integers(-HOUR, 17 * DAY, size=60), 5 * DAY + rng.integers(HOUR, size=20)]
    for offset in np.sort(np.concatenate(moments)).tolist():
        at_us = grid_floor(NOON + offset)
        known = events.received_us < at_us
        hourly = HourlyCounts.from_entries(
            shop.rows_for(events.sale_keys[known]),
            events.kinds[known].astype(np.int64),
            hours=events.received_us[known] // HOUR,
            counts=np.ones(int(known.sum()), dtype=np.int64),
        )
        expected = counts_at(hourly, at_us=at_us, n_sales=len(shop), half_lives=HALF_LIVES_HOURS)
        found = replay.at(NOON + offset)
        assert found.at_us == at_us
        np.testing.assert_array_equal(found.totals, expected.totals)
        np.testing.assert_array_equal(found.decayed, expected.decayed)


@pytest.mark.parametrize("half_lives", [HALF_LIVES_HOURS, (0.5, 3.0, 24.0, 168.0)])
def test_counts_fade_by_whole_hours_and_forget_after_fourteen_days(
    rng: np.random.Generator, half_lives: HalfLives
) -> None:
    """The definition, event by event."""
    log, shop = random_log(rng, 500), catalogue("s0", "s1", "s2", "s3")
    replay = CountReplay(event_table(log), shop, half_lives=half_lives)

    for offset in (HOUR, 3 * DAY + 90 * SECOND, 15 * DAY + 59 * MINUTE + 30 * SECOND):
        at_us = (NOON + offset) // GRID_US * GRID_US
        totals, decayed = np.zeros((4, N_KINDS)), np.zeros((len(HALF_LIVES_HOURS), 4, N_KINDS))
        for row in counted(log):
            age = at_us // HOUR - row.received_us // HOUR
            if row.received_us >= at_us or age > 14 * 24:
                continue
            cell = (shop.row_for(row.sale), KIND[EventType(row.kind)])
            totals[cell] += 1
            for half, half_life in enumerate(half_lives):
                decayed[half][cell] += 2 ** (-age / half_life)
        found = replay.at(NOON + offset)
        np.testing.assert_allclose(found.totals, totals)
        np.testing.assert_allclose(found.decayed, decayed)


def test_an_event_counts_from_the_next_minute_on() -> None:
    replay = CountReplay(event_table([Row(at=30 * SECOND)]), catalogue("s1"))

    seen = [replay.at(NOON + at).totals.sum() for at in (30 * SECOND, MINUTE - 1, MINUTE)]

    assert seen == [0, 0, 1]


def test_inside_an_hour_only_sales_with_events_are_counted_anew() -> None:
    """Most sales of a long log are closed: a slate must not cost what there ever was."""
    shop = catalogue("s1", "s2")
    log = [Row(sale="s1"), Row(sale="s1", at=MINUTE, customer="c2"), Row(sale="s2", at=HOUR)]
    replay = CountReplay(event_table(log), shop)
    before = replay.at(NOON + MINUTE)

    after = replay.at(NOON + 2 * MINUTE)

    assert after.totals is before.totals
    assert after.decayed is before.decayed
    assert after.totals.sum(axis=1)[shop.row_for("s1")] == 2
    assert replay.at(NOON + HOUR).totals is not before.totals


def test_events_of_sales_outside_the_catalogue_are_not_counted() -> None:
    replay = CountReplay(event_table([Row(sale="other"), Row(sale="s1")]), catalogue("s1"))

    assert replay.at(NOON + HOUR).totals.sum() == 1


def test_a_customer_counts_once_per_sale_type_and_hour_however_often_they_come() -> None:
    log = [Row(at=number * SECOND, kind="click") for number in range(3_600)]
    log += [Row(at=MINUTE, kind="view"), Row(at=MINUTE, kind="click", sale="s2")]
    log += [Row(at=MINUTE, kind="click", customer="c2"), Row(at=HOUR, kind="click")]
    replay = CountReplay(event_table(log), catalogue("s1", "s2"))

    [s1, s2] = replay.at(NOON + HOUR + MINUTE).totals

    click, view = KIND[EventType.CLICK], KIND[EventType.VIEW]
    assert (s1[click], s1[view], s2[click]) == (3, 1, 1)


def test_counts_refuse_to_go_back_in_time() -> None:
    replay = CountReplay(event_table([Row()]), catalogue("s1"))
    replay.at(NOON + HOUR)

    with pytest.raises(ValueError, match=f"counts at {NOON} were asked for after those at"):
        replay.at(NOON)


def test_a_restarted_replay_counts_from_the_first_moment_and_leaves_the_other(
    rng: np.random.Generator,
) -> None:
    events, shop = event_table(random_log(rng, 500)), catalogue("s0", "s1", "s2", "s3")
    replay = CountReplay(events, shop)
    late = replay.at(NOON + 3 * DAY)
    late_totals = late.totals.copy()

    early = replay.restarted().at(NOON + HOUR)

    np.testing.assert_array_equal(early.totals, CountReplay(events, shop).at(NOON + HOUR).totals)
    np.testing.assert_array_equal(replay.at(NOON + 3 * DAY).totals, late_totals)


def test_neighbours_are_sales_that_open_in_this_hour_or_opened_before() -> None:
    """B opens half an hour after noon, c at one; the pictures of all three are the same."""
    opens = {"a": -DAY, "b": 30 * MINUTE, "c": HOUR}
    sales = [sale(name, opens_at=from_us(NOON + at)) for name, at in opens.items()]
    same = picture(1, 0, embedding={0: 1.0})
    shop = build_catalogue(sales, dict.fromkeys(opens, same), topics=Topics.none())
    row = shop.row_for("a")
    replay = NeighbourReplay(shop)

    def near(minute: int) -> list[str]:
        found = replay.at(NOON + minute * MINUTE)
        return sorted(ids_of(shop, found.rows[row][found.similarities[row] > 0]))

    assert [near(minute) for minute in (-1, 0, 59, 60)] == [[], ["b"], ["b"], ["b", "c"]]


@given(logs(unit=SECOND, n_moments=5, max_delay=4), st.integers(-2, 12), st.integers(0, 9))
def test_a_customer_has_the_events_of_a_guest_from_the_merge_on(
    log: list[Row], second: int, merged_second: int
) -> None:
    """Until then both windows are their own; c9 has no events of their own."""
    log, until_us = [*log, Row(customer="c1")], NOON + second * SECOND
    events = merged_log(log, [("c1", "c9", merged_second * SECOND)])
    replay, ids = WindowReplay(events), with_guests(events).customers.values.to_list()

    of_guest = Window.from_members(
        members_received(log, "c1", until_us), shown_until(log, "c1", until_us)
    )
    expected = of_guest if second >= merged_second else Window.empty()
    assert replay.window(ids.index("c9"), until_us).pack() == expected.pack()
    assert replay.window(ids.index("c1"), until_us).pack() == of_guest.pack()


@given(logs(unit=SECOND, n_moments=5, max_delay=4), st.integers(-2, 12), st.integers(0, 9))
def test_merges_in_any_order_make_the_union(
    log: list[Row], second: int, merged_second: int
) -> None:
    log, until_us = [*log, *(Row(customer=f"c{n}") for n in (1, 2, 3))], NOON + second * SECOND
    merges = [("c2", "c1", merged_second * SECOND), ("c3", "c1", 2 * SECOND)]
    replay = WindowReplay(merged_log(log, merges))

    known = ["c1", *(guest for guest, _, at in merges if NOON + at <= until_us)]
    windows = [
        Window.from_members(members_received(log, one, until_us), shown_until(log, one, until_us))
        for one in known
    ]
    assert replay.window(0, until_us).pack() == reduce(Window.merge, windows).pack()


@pytest.mark.parametrize(("day", "clicks"), [(0, 1), (1, 3), (2, 4)])
def test_a_profile_adds_those_of_guests_from_the_merge_on(day: int, clicks: int) -> None:
    """Merged late on day 1 of noons; in the night before two clicks were known of the guest."""
    log = [
        Row(kind="click", customer="c1", at=-DAY),
        Row(kind="click", customer="v1", at=-2 * DAY),
        Row(kind="click", customer="v1", at=-DAY, sale="s2"),
        Row(kind="click", customer="v1", at=DAY - HOUR),
    ]
    replay = ProfileReplay(merged_log(log, [("v1", "c1", DAY - MINUTE)]))

    profile = replay.profile(0, NOON + day * DAY)

    assert profile.counts[KIND[EventType.CLICK]] == clicks


def test_an_event_under_both_ids_counts_once_and_each_event_once_for_its_sale() -> None:
    log = [Row(kind="click", customer="v1"), Row(kind="click", customer="c1")]
    events = merged_log(log, [("v1", "c1", HOUR)])
    repeated = replace(events, event_keys=np.full(2, events.event_keys[0]))

    assert len(with_guests(events)) == 3
    assert len(with_guests(repeated)) == 2
    assert events.counted.sum() == 2
