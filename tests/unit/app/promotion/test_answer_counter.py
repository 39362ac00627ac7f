"""Counts of a promotion's answers: by side of a canary, and slates that were not shared."""

from dataclasses import replace

from app.promotion.answer_counter import AnswerCounter
from app.recommend.degradation_level import (
    CAUSES,
    RIVAL_NOT_RANKED,
    RIVAL_TOO_SLOW,
    TOO_SLOW,
    Cause,
    DegradationLevel,
)
from models.experiments.exposure_record import ExposureRecord, InterleavedRecord
from models.experiments.plan.experiment import INTERLEAVED, Unit
from models.experiments.plan.plan import Assignment
from tests.promotions import begun
from tests.records import RECORD

SHARED = InterleavedRecord(
    *("promotion-1-interleaving", "serving", "candidate", (None,), "abc", "b2", "meta"),
    diversity=0.0,
    feature_hash="ee",
)


def interleaved(**fields: object) -> ExposureRecord:
    assigned = Assignment("promotion-1-interleaving", INTERLEAVED, Unit.CUSTOMER, "c1", 10_000)
    return replace(RECORD, **{"assignments": (assigned,), "interleaving": SHARED, **fields})


def counted(*records: ExposureRecord) -> dict[str, int]:
    counter = AnswerCounter()
    counter.follow(begun())
    for one in records:
        counter.record(one)
    batch = counter.take("w1")
    return dict(batch.counts) if batch else {}


def alone(cause: Cause, *, feature_hash: str = "ff") -> ExposureRecord:
    """An answer of the serving bundle to a customer of the interleaving."""
    named = {"degraded": cause.level.value, "cause": cause.name}
    return interleaved(interleaving=None, feature_hash=feature_hash, **named)


def test_slates_that_the_candidate_failed_to_share_count_as_degraded() -> None:
    found = counted(
        interleaved(),
        interleaved(degraded="anonymous", cause="customer_not_read"),
        alone(RIVAL_NOT_RANKED),
        alone(CAUSES[DegradationLevel.VARIANT]),
    )

    assert (found["interleaved.answers"], found["interleaved.degraded"]) == (4, 2)


def test_faults_of_the_store_and_a_lack_of_time_are_not_the_candidates() -> None:
    """A snapshot is ordered by the scorer's popularity, and has a hash of features."""
    found = counted(
        alone(CAUSES[DegradationLevel.SNAPSHOT]),
        alone(RIVAL_TOO_SLOW),
        alone(TOO_SLOW, feature_hash=""),
    )

    assert found["interleaved.answers"] == 3
    assert "interleaved.degraded" not in found


def test_sides_of_a_canary_count_for_themselves_and_other_experiments_not_at_all() -> None:
    sides = [Assignment("promotion-1", one, Unit.CUSTOMER, "c1", 5_000) for one in ("a", "b")]
    other = Assignment("order", "meta", Unit.CUSTOMER, "c1", 5_000)

    found = counted(
        replace(RECORD, assignments=(sides[0],), degraded="variant"),
        replace(RECORD, assignments=(sides[1], other)),
        replace(RECORD, assignments=(replace(sides[1], is_forced=True),)),
    )

    assert {name: n for name, n in found.items() if "took" not in name} == {
        **{"a.answers": 1, "a.degraded": 1},
        "b.answers": 1,
    }
