"""Which request is taken up next, by a clock that the test moves."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from app.observability import AdmissionMetrics
from app.recommend.admission import Admission, AdmissionBounds, Lane, Outcome, Ticket

DEADLINE_S = 0.05


@dataclass
class Clock:
    """Seconds, as far as the admission knows."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Desk:
    """An admission, and the names of the requests that it took up, in order."""

    clock: Clock
    admission: Admission
    registry: CollectorRegistry
    taken_up: list[str] = field(default_factory=list[str])
    tickets: dict[str, Ticket] = field(default_factory=dict[str, Ticket])
    gone: set[str] = field(default_factory=set[str])

    async def arrive(
        self, *names: str, lane: Lane = Lane.RANKINGS, age_s: float = 0.0
    ) -> list[asyncio.Task[None]]:
        tasks: list[asyncio.Task[None]] = []
        for name in names:
            tasks.append(asyncio.create_task(self._enter(name, lane, self.clock.now_s - age_s)))
            await settled()
        return tasks

    async def _enter(self, name: str, lane: Lane, arrived_s: float) -> None:
        ticket = await self.admission.enter(lane, arrived_s, is_gone=lambda: name in self.gone)
        self.taken_up.append(name)
        self.tickets[name] = ticket

    async def end(self, *names: str, spent_s: float = 0.001) -> None:
        for name in names:
            self.admission.leave(self.tickets.pop(name), spent_s=spent_s)
            await settled()

    def outcomes(self) -> dict[str, Outcome | None]:
        return {name: ticket.outcome for name, ticket in self.tickets.items()}

    def shown(self, metric: str, lane: Lane) -> float | None:
        return self.registry.get_sample_value(f"vitrine_{metric}_requests", {"lane": lane})


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def desk(*, max_in_flight: int = 1, max_waiting: int = 10, deadline_s: float = DEADLINE_S) -> Desk:
    clock, registry = Clock(), CollectorRegistry()
    metrics = AdmissionMetrics(registry)
    bounds = AdmissionBounds(deadline_s, max_in_flight, max_waiting)
    return Desk(clock, Admission(bounds, metrics=metrics, clock=clock), registry)


async def test_rankings_are_taken_up_in_the_order_of_their_arrival_while_none_is_cut_short() -> (
    None
):
    at = desk(deadline_s=10.0)
    await at.arrive("a", "b", "c", "d")

    for name in "abcd":
        await at.end(name)

    assert at.taken_up == ["a", "b", "c", "d"]


async def test_under_overload_the_newest_ranking_is_taken_up_first() -> None:
    """Four wait where three may: the oldest of them is cut short."""
    at = desk(deadline_s=10.0, max_waiting=3)
    await at.arrive("a", "shed", "b", "c", "d")

    for name in "adcb":
        await at.end(name)

    assert at.taken_up == ["a", "shed", "d", "c", "b"]


async def test_events_are_taken_up_in_the_order_of_their_arrival() -> None:
    at = desk()
    await at.arrive("a", "b", "c", lane=Lane.EVENTS)

    for name in "abc":
        await at.end(name)

    assert at.taken_up == ["a", "b", "c"]


@pytest.mark.parametrize("lane", [Lane.RANKINGS, Lane.EVENTS])
async def test_no_more_than_the_bound_are_in_flight(lane: Lane) -> None:
    at = desk(max_in_flight=3, deadline_s=10.0)
    await at.arrive(*"abcdefgh", lane=lane)
    most = len(at.tickets)

    while at.tickets:
        await at.end(next(iter(at.tickets)))
        most = max(most, len(at.tickets))

    assert (most, len(at.taken_up)) == (3, 8)


async def test_a_ranking_past_its_deadline_is_answered_by_popularity_at_once() -> None:
    at = desk()

    await at.arrive("late", age_s=DEADLINE_S)

    assert at.outcomes() == {"late": Outcome.POPULARITY}
    assert at.shown("in_flight", Lane.RANKINGS) == 0


async def test_a_ranking_that_waited_too_long_makes_room_for_a_fresh_one() -> None:
    at = desk()
    await at.arrive("a", "old")
    at.clock.now_s += DEADLINE_S

    await at.arrive("fresh")
    await at.end("a")

    assert at.outcomes() == {"old": Outcome.POPULARITY, "fresh": Outcome.FULL}


async def test_beyond_the_bound_the_oldest_is_shed_and_then_refused() -> None:
    """One is in flight and two wait; the first of three that are shed next has two behind it."""
    at = desk(max_waiting=2, deadline_s=10.0)
    await at.arrive("a", "b", "c", "d")
    assert at.outcomes() == {"a": Outcome.FULL, "b": Outcome.POPULARITY}

    await at.arrive("e", "f", "g")
    await at.end("b")

    assert at.outcomes() == {"a": Outcome.FULL, "c": Outcome.REFUSED}


async def test_the_newest_events_beyond_the_bound_are_refused() -> None:
    at = desk(max_waiting=2)

    await at.arrive("a", "b", "c", "d", lane=Lane.EVENTS)

    assert at.outcomes() == {"a": Outcome.FULL, "d": Outcome.REFUSED}


async def test_where_rankings_take_longer_fewer_are_in_flight() -> None:
    """25 ms are half of the deadline: two of 8 ms fit, with 20% outside their turns, in 78%."""
    at = desk(max_in_flight=8)
    for n in range(100):
        await at.arrive(f"{n}")
        await at.end(f"{n}", spent_s=0.008)

    await at.arrive("a", "b", "c")

    assert sorted(at.tickets) == ["a", "b"]


async def test_where_each_ranking_takes_most_of_the_deadline_two_are_in_flight() -> None:
    at = desk(max_in_flight=8)
    for n in range(100):
        await at.arrive(f"{n}")
        await at.end(f"{n}", spent_s=0.04)

    await at.arrive("a", "b", "c")

    assert at.outcomes() == {"a": Outcome.FULL, "b": Outcome.FULL}


async def test_a_ranking_is_tried_even_if_none_ever_ended_in_time() -> None:
    at = desk()
    for n in range(100):
        await at.arrive(f"{n}")
        await at.end(f"{n}", spent_s=10.0)

    await at.arrive("a")

    assert at.outcomes() == {"a": Outcome.FULL}


@pytest.mark.parametrize(("lane", "share"), [(Lane.EVENTS, 0.12 / 1.2), (Lane.SHED, 0.1 / 1.2)])
async def test_while_rankings_wait_others_have_their_share_of_the_time(
    lane: Lane, share: float
) -> None:
    """Of 1,000 requests of 1 ms each, one after the other, while rankings always wait.

    Each of the others counts as 1.2 ms: a fifth of a ranking is what it takes outside its turn.
    """
    at = desk(deadline_s=10.0, max_waiting=2_000)
    await at.arrive("ranking 0", "ranking 1", "ranking 2")
    n_rankings = 3
    for n in range(1_000):
        age_s = 10.0 if lane is Lane.SHED else 0.0
        await at.arrive(
            f"{n}", lane=Lane.EVENTS if lane is Lane.EVENTS else Lane.RANKINGS, age_s=age_s
        )
        in_flight = sorted(at.tickets)  # digits come first
        at.clock.now_s += 0.001
        await at.end(in_flight[0], spent_s=0.001)
        if in_flight[0].startswith("ranking"):
            await at.arrive(f"ranking {n_rankings}")
            n_rankings += 1

    n_others = 1_000 - (n_rankings - 3)
    assert n_others == pytest.approx(1_000 * share, abs=15)  # ten of them at once, at first


async def test_where_no_ranking_waits_others_need_no_share() -> None:
    at = desk()
    for n in range(10):
        await at.arrive(f"{n}", lane=Lane.EVENTS)
        await at.end(f"{n}", spent_s=1.0)

    assert len(at.taken_up) == 10


async def test_shed_answers_keep_to_their_share_until_no_ranking_is_in_flight() -> None:
    at = desk(deadline_s=10.0)
    await at.arrive("ranking")
    await at.arrive("shed", age_s=10.0)
    await at.end("shed", spent_s=0.1)
    await at.arrive("next shed", age_s=10.0)
    assert sorted(at.tickets) == ["ranking"]

    await at.end("ranking")

    assert at.outcomes() == {"next shed": Outcome.POPULARITY}


async def test_a_lane_without_time_goes_on_by_itself() -> None:
    """Rankings may be held up by the store: shed answers then wait for none of them to end."""
    at = desk(deadline_s=10.0)
    await at.arrive("a", "b")
    await at.arrive("shed", age_s=10.0)
    await at.end("shed", spent_s=0.1)
    (next_one,) = await at.arrive("next", age_s=10.0)
    assert "next" not in at.tickets

    at.clock.now_s += 1.0
    await next_one

    assert at.outcomes()["next"] is Outcome.POPULARITY


async def test_a_request_that_is_given_up_takes_no_place() -> None:
    at = desk(deadline_s=10.0)
    await at.arrive("a")
    (waits,) = await at.arrive("b")
    await at.arrive("c")

    waits.cancel()
    await settled()
    await at.end("a")
    await at.end("c")

    assert at.taken_up == ["a", "c"]
    assert at.shown("in_flight", Lane.RANKINGS) == 0


async def test_what_waits_and_what_is_in_flight_is_shown() -> None:
    at = desk(max_in_flight=2, deadline_s=10.0)

    await at.arrive("a", "b", "c")

    assert at.shown("waiting", Lane.RANKINGS) == 1
    assert at.shown("in_flight", Lane.RANKINGS) == 2


async def test_a_caller_that_left_is_answered_by_no_work() -> None:
    """Those that left before their turn take no place, in whichever lane they wait."""
    at = desk(deadline_s=10.0, max_waiting=2)
    await at.arrive("first", "shed 0", "shed 1", "shed 2", "kept", "newest")
    await at.arrive("event 0", "event 1", lane=Lane.EVENTS)
    at.gone = {"shed 1", "shed 2", "newest", "event 1"}

    await at.end("first")
    await at.end("kept")
    await at.end("event 0")

    assert at.outcomes() == {
        "newest": Outcome.GONE,
        "event 1": Outcome.GONE,
        "shed 1": Outcome.GONE,
        "shed 2": Outcome.GONE,
        "shed 0": Outcome.POPULARITY,
    }
    assert [at.shown("in_flight", lane) for lane in Lane] == [0, 0, 1]


async def test_a_pause_of_the_machine_keeps_a_lane_for_a_second_at_most() -> None:
    at = desk(deadline_s=1_000.0)
    await at.arrive("a", "b")
    await at.arrive("event", lane=Lane.EVENTS)
    await at.end("event", spent_s=600.0)
    (waits,) = await at.arrive("next event", lane=Lane.EVENTS)

    at.clock.now_s += 1.01
    await waits

    assert "next event" in at.tickets


@pytest.mark.parametrize("seed", range(10))
async def test_after_any_load_the_next_request_is_answered_in_full(seed: int) -> None:
    """Callers come, leave, break off and are cancelled; answers take from 0.1 ms to minutes."""
    rng = random.Random(seed)
    at = desk(max_in_flight=4, max_waiting=8)
    tasks: list[asyncio.Task[None]] = []
    for n in range(400):
        lane = Lane.EVENTS if rng.random() < 0.2 else Lane.RANKINGS
        tasks += await at.arrive(f"{n}", lane=lane, age_s=rng.choice([0.0, 0.0, 0.01, 9.0]))
        at.clock.now_s += rng.choice([0.0, 0.001, 0.01, 5.0])
        if rng.random() < 0.3:
            at.gone.add(f"{rng.randrange(n + 1)}")
        if rng.random() < 0.1:
            rng.choice(tasks).cancel()
            await settled()
        if at.tickets and rng.random() < 0.8:
            await at.end(rng.choice(list(at.tickets)), spent_s=rng.choice([1e-4, 0.01, 60.0]))
    while not all(task.done() for task in tasks):
        at.clock.now_s += 1.0
        await at.end(*at.tickets)
        await asyncio.sleep(0.002)
    await at.end(*at.tickets)

    await at.arrive("next")

    assert at.outcomes() == {"next": Outcome.FULL}
    assert [at.shown("waiting", lane) for lane in Lane] == [0, 0, 0]
    assert [at.shown("in_flight", lane) for lane in Lane] == [1, 0, 0]
