from dataclasses import dataclass

import pytest

from app.recommend.latency_estimate import ASKED_AGAIN_S, REMEMBERED, LatencyEstimate

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


@pytest.mark.parametrize("rate", [1, 10, 1_000])
def test_a_model_that_was_too_slow_is_asked_again_once_a_second(rate: int) -> None:
    """Whichever share of the requests it has: or else a candidate would seem slow for longer."""
    clock = Clock()
    pace = slow_at(100, 3.0, clock=clock)

    n_allowed = 0
    for _ in range(10 * rate):
        clock.now_s += 1 / rate
        if pace.allows(SERVING, 100, within_s=0.05):
            n_allowed += 1
            pace.record(SERVING, 100, took_s=3.0)

    assert n_allowed == pytest.approx(10 / ASKED_AGAIN_S, abs=1)


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
