import pytest

from app.recommend.latency_estimate import ASKED_AGAIN, REMEMBERED, LatencyEstimate


def slow_at(n_candidates: int, took_s: float) -> LatencyEstimate:
    pace = LatencyEstimate()
    for _ in range(REMEMBERED):
        pace.record(n_candidates, took_s)
    return pace


@pytest.mark.parametrize(("within_s", "allowed"), [(0.041, True), (0.04, True), (0.039, False)])
def test_a_model_that_takes_longer_than_is_left_is_not_asked(
    within_s: float, *, allowed: bool
) -> None:
    assert slow_at(100, 0.04).allows(100, within_s) is allowed


def test_one_pause_is_not_the_pace() -> None:
    pace = slow_at(100, 0.001)
    pace.record(100, 3.0)

    assert pace.allows(100, 0.001)


def test_a_size_that_was_never_ranked_is_asked() -> None:
    assert slow_at(1_000, 3.0).allows(10, 0.001)


def test_a_model_that_was_too_slow_is_asked_again_now_and_then() -> None:
    """Or else it could never show that it is quick again."""
    pace = slow_at(100, 3.0)

    allowed = [pace.allows(100, 0.05) for _ in range(3 * ASKED_AGAIN)]

    assert sum(allowed) == 3
