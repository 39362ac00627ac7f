from dataclasses import dataclass

import pytest

from app.recommend.latency_estimate import (
    ASKED_AGAIN_S,
    MAX_DOUBLINGS,
    REMEMBERED,
    LatencyEstimate,
)

SERVING, CANDIDATE = "serving", "candidate"


@dataclass
class Clock:
    """Seconds, as far as the estimate knows."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def slow_at(
    n_candidates: int, took_s: float, *, bundle_id: str = SERVING, clock: Clock | None = None
) -> LatencyEstimate:
    pace = LatencyEstimate(clock or Clock())
    for _ in range(REMEMBERED):
        pace.record(bundle_id, n_candidates, took_s=took_s)
    return pace


@pytest.mark.parametrize(("within_s", "allowed"), [(0.041, True), (0.04, True), (0.039, False)])
def test_a_model_that_takes_longer_than_is_left_is_not_asked(
    within_s: float, *, allowed: bool
) -> None:
    assert slow_at(100, 0.04).allows(SERVING, 100, within_s=within_s) is allowed


def test_one_pause_is_not_the_pace() -> None:
    pace = slow_at(100, 0.001)
    pace.record(SERVING, 100, took_s=3.0)

    assert pace.allows(SERVING, 100, within_s=0.001)


def test_a_size_that_was_never_ranked_is_asked() -> None:
    assert slow_at(1_000, 3.0).allows(SERVING, 10, within_s=0.001)


def test_a_slow_candidate_does_not_keep_the_bundle_beside_it_from_being_asked() -> None:
    pace = slow_at(100, 3.0, bundle_id=CANDIDATE)
    for _ in range(REMEMBERED):
        pace.record(SERVING, 100, took_s=0.001)
        pace.record(CANDIDATE, 100, took_s=3.0)

    assert pace.allows(SERVING, 100, within_s=0.05)
    assert not pace.allows(CANDIDATE, 100, within_s=0.05)


def asked_at(pace: LatencyEstimate, clock: Clock, *, every_s: float, for_s: float) -> list[float]:
    """Seconds from now at which a model that is too slow is asked."""
    began_s, found = clock.now_s, list[float]()
    while clock.now_s - began_s < for_s:
        clock.now_s += every_s
        if pace.allows(SERVING, 100, within_s=0.05):
            found.append(clock.now_s - began_s)
            pace.record(SERVING, 100, took_s=3.0)
    return found


@pytest.mark.parametrize("every_s", [0.001, 0.1, 1.0])
def test_a_model_that_stays_too_slow_is_asked_more_and_more_rarely(every_s: float) -> None:
    """Whichever share of the requests it has: or else a candidate would seem slow for longer."""
    clock = Clock()

    asked = asked_at(slow_at(100, 3.0, clock=clock), clock, every_s=every_s, for_s=100.0)

    assert asked == pytest.approx([1, 3, 7, 15, 31, 63, 95], abs=7 * every_s)


def test_where_requests_are_rare_most_do_without_a_model_that_is_too_slow() -> None:
    """Each call is an answer after its deadline: with one a minute, all were."""
    clock = Clock()

    asked = asked_at(slow_at(100, 3.0, clock=clock), clock, every_s=60.0, for_s=100 * 60.0)

    assert asked == [60.0 * request for request in (1, 3, 7, 15, 31, 63, 95)]


def test_a_model_that_was_slow_for_a_while_is_asked_after_as_long_again() -> None:
    clock = Clock()
    pace = slow_at(100, 3.0, clock=clock)
    asked_at(pace, clock, every_s=0.1, for_s=10.0)

    n_spared = 0
    while not pace.allows(SERVING, 100, within_s=0.05):
        clock.now_s += 0.1
        n_spared += 1
    pace.record(SERVING, 100, took_s=0.01)

    assert n_spared < 100
    assert all(pace.allows(SERVING, 100, within_s=0.05) for _ in range(100))


def test_a_model_that_is_slow_again_is_asked_again_after_a_second() -> None:
    clock = Clock()
    pace = slow_at(100, 3.0, clock=clock)
    asked_at(pace, clock, every_s=0.1, for_s=100.0)
    pace.record(SERVING, 100, took_s=0.01)
    assert pace.allows(SERVING, 100, within_s=0.05)
    for _ in range(REMEMBERED):
        pace.record(SERVING, 100, took_s=3.0)

    assert asked_at(pace, clock, every_s=0.1, for_s=1.5) == pytest.approx([ASKED_AGAIN_S], abs=0.1)


def test_a_model_that_is_quick_again_is_asked_from_then_on() -> None:
    clock = Clock()
    pace = slow_at(100, 3.0, clock=clock)
    clock.now_s += ASKED_AGAIN_S
    assert pace.allows(SERVING, 100, within_s=0.05)

    pace.record(SERVING, 100, took_s=0.01)

    assert all(pace.allows(SERVING, 100, within_s=0.05) for _ in range(100))


def test_a_model_that_fails_when_it_is_asked_again_is_not_asked_by_all() -> None:
    """A failed ranking is not recorded."""
    clock = Clock()
    pace = slow_at(100, 3.0, clock=clock)
    clock.now_s += ASKED_AGAIN_S

    assert [pace.allows(SERVING, 100, within_s=0.05) for _ in range(3)] == [True, False, False]


def test_a_model_may_be_asked_again_as_rarely_as_can_be_from_the_first_time_on() -> None:
    """After 32 seconds and 32 rankings."""
    clock = Clock()
    pace = LatencyEstimate(clock, fewest_doublings=MAX_DOUBLINGS)
    for _ in range(REMEMBERED):
        pace.record(SERVING, 100, took_s=3.0)

    assert asked_at(pace, clock, every_s=1.0, for_s=70.0) == [32.0, 64.0]
