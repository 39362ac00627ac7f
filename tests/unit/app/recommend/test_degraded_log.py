import pytest
from structlog.testing import capture_logs

from app.recommend.degradation_level import (
    CAUSES,
    NO_MODEL,
    NOTHING_OPEN,
    ORDER_MISSING,
    SHED,
    TOO_SLOW,
    Cause,
    DegradationLevel,
)
from app.recommend.degraded_log import Degradation


def test_degraded_answers_are_one_line_a_second_with_their_numbers() -> None:
    now_s = [0.0]
    with capture_logs() as lines:
        degradation = Degradation(lambda: now_s[0])
        degradation.blame(TimeoutError())
        for at_s in (0.0, 0.2, 0.7, 1.0):
            now_s[0] = at_s
            degradation.record(CAUSES[DegradationLevel.ANONYMOUS])
        degradation.record(None)

    assert [line["levels"] for line in lines] == [{"anonymous": 1}, {"anonymous": 3}]
    assert lines[0]["reason"] == "customers were not read from the store in time; TimeoutError"


@pytest.mark.parametrize(
    ("cause", "word"),
    [
        (SHED, "overload"),
        (TOO_SLOW, "too slow"),
        (NO_MODEL, "model missing"),
        (ORDER_MISSING, "the plan orders by"),
    ],
)
def test_why_an_answer_is_by_popularity_is_in_the_line(cause: Cause, word: str) -> None:
    with capture_logs() as lines:
        Degradation(lambda: 0.0).record(cause)

    assert word in lines[0]["reason"]


def noted(*, full: int, late: int, empty: int = 0) -> Degradation:
    degradation = Degradation(lambda: 0.0)
    for _ in range(full):
        degradation.record(None)
    for _ in range(late):
        degradation.record(TOO_SLOW)
    for _ in range(empty):
        degradation.record(NOTHING_OPEN)
    return degradation


def test_more_than_half_of_the_answers_of_a_minute_below_full_are_named_by_their_commonest() -> (
    None
):
    lacking = noted(full=9, late=7, empty=4).recent.lacking

    assert lacking == (
        "11 of the 20 answers of the last minute were not full, 7 of them by popularity: too slow:"
        " the model takes longer than what is left of their time",
        "raise VITRINE_DEADLINE_MS, or add workers or machines",
    )


@pytest.mark.parametrize(("full", "late"), [(10, 10), (0, 19), (0, 0), (1_000, 999)])
def test_half_of_the_answers_or_few_answers_are_no_fault(full: int, late: int) -> None:
    assert noted(full=full, late=late).recent.lacking is None


def test_answers_are_forgotten_after_a_minute() -> None:
    now_s = [100.0]
    degradation = Degradation(lambda: now_s[0])
    for _ in range(20):
        degradation.record(SHED)
    now_s[0] = 159.0
    within = degradation.recent.lacking
    now_s[0] = 160.0

    assert "overload" in str(within)
    assert degradation.recent.lacking is None


def test_answers_whose_cause_is_reported_elsewhere_are_no_shortfall_and_hide_none() -> None:
    degradation = noted(full=2, late=6, empty=12)

    degradation.recent.excuse(DegradationLevel.EMPTY)
    assert degradation.recent.lacking is None

    for _ in range(10):
        degradation.recent.record(TOO_SLOW)
    lacking = degradation.recent.lacking
    assert lacking is not None
    assert lacking[0].startswith("16 of the 30 answers")
