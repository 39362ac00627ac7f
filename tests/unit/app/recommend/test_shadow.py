"""The shadow ranks after the answer, one at a time, and counts what it finds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.model import Model
from app.promotion.answer_counter import AnswerCounter
from app.recommend.ranking import SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest
from app.recommend.shadow import RESTS, Shadow
from app.stores.customer_state import CustomerState
from models.domain.customer import Window
from models.domain.profile import Profile
from models.experiments.analysis.guardrail import State
from models.promotion.count import ShadowCounts
from models.promotion.promotion import Promotion
from models.promotion.rule import ShadowRules
from models.promotion.shadow import shadow_findings
from models.scoring.scorer import Scorer
from tests.promotions import RULES
from tests.shop import BrokenRanker, CategoryRanker, sale, scorer
from tests.trials import START
from tests.unit.app.conftest import Power, Shop

P = ParamSpec("P")
T = TypeVar("T")


class HeldPool(Executor):
    """A thread that has not come to its work yet."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@dataclass
class Trial:
    """A shadow, and all that it touches."""

    live: CatalogueFollower
    shadow: Shadow
    counter: AnswerCounter
    pool: HeldPool
    shop: Shop
    now_s: list[float] = field(default_factory=lambda: [0.0])

    def ask(self) -> None:
        state = CustomerState(self.shop.wall.now_us, Window.empty(), Profile.empty())
        question = RankingRequest(RecommendationRequest(limit=2), state, self.live.served)
        ranking = SlateRanker(self.shop.metrics).rank(question)
        assert ranking.degraded is None
        self.shadow.compare(question)

    def outcomes(self) -> dict[str, float]:
        told = self.shop.metrics.registry.collect()
        samples = [one for family in told for one in family.samples]
        return {
            one.labels["outcome"]: one.value
            for one in samples
            if one.name == "vitrine_shadow_answers_total"
        }

    def counted(self) -> ShadowCounts:
        taken = self.counter.take("w1")
        assert taken is not None
        return ShadowCounts.from_counts(taken.counts)


@dataclass(frozen=True)
class LaboriousRanker(CategoryRanker):
    """A model that computes for long before it says the same."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        for _ in range(200):
            np.sort(np.sin(np.arange(10_000.0)))
        return super().probabilities(matrix)


def candidate(ranker: CategoryRanker | BrokenRanker | None = None) -> Scorer:
    return scorer(ranker=ranker)


@pytest.fixture
async def trial(shop: Shop, power: Power) -> Trial:
    power.on()
    await shop.stores.sales.put([sale(one, now_us=shop.wall.now_us) for one in ("a", "b", "c")])
    live, pool, counter = shop.live(scorer()), HeldPool(), AnswerCounter()
    await live.refresh()
    now_s = [0.0]
    shadow = Shadow(
        live, pool=pool, metrics=shop.metrics.shadow, counter=counter, clock=lambda: now_s[0]
    )
    counter.follow(Promotion.begun(1, "by-hand", serving="b1", rules=RULES, at=START, who="key k1"))
    return Trial(live, shadow, counter, pool, shop, now_s)


async def test_without_a_shadow_nothing_is_ranked_again(trial: Trial) -> None:
    trial.ask()
    await asyncio.sleep(0)

    assert (trial.pool.waiting, trial.outcomes()) == ([], {})


async def test_an_answer_is_ranked_again_only_after_it_was_sent(trial: Trial) -> None:
    """What comes after `see` without awaiting, as the answer does, comes before the shadow."""
    await trial.live.shadow_by(Model(candidate()))

    trial.ask()
    before = len(trial.pool.waiting)
    await asyncio.sleep(0)

    assert (before, len(trial.pool.waiting)) == (0, 1)


async def test_one_answer_waits_at_most_and_the_others_are_dropped_and_counted(
    trial: Trial,
) -> None:
    await trial.live.shadow_by(Model(candidate()))

    for _ in range(50):
        trial.ask()
    await asyncio.sleep(0)

    assert (len(trial.pool.waiting), trial.outcomes()) == (1, {"dropped": 49.0})


async def test_after_a_ranking_the_shadow_rests(trial: Trial) -> None:
    await trial.live.shadow_by(Model(candidate()))
    trial.ask()
    await asyncio.sleep(0)
    work = trial.pool.waiting.pop()
    trial.pool.waiting.append(lambda: (trial.now_s.__setitem__(0, 1.0), work()))
    trial.pool.work()

    trial.ask()
    trial.now_s[0] = 1.0 + RESTS * 1.0 + 0.001
    trial.ask()
    await asyncio.sleep(0)

    assert trial.outcomes()["scored"] == 1
    assert len(trial.pool.waiting) == 1


async def test_what_both_showed_is_counted_for_the_promotion(trial: Trial) -> None:
    await trial.live.shadow_by(Model(candidate()))

    trial.ask()
    await asyncio.sleep(0)
    trial.pool.work()

    counts = trial.counted()
    assert (counts.scored, counts.failed, counts.shown, counts.shared) == (1, 0, 2, 2)
    # No customer's interest is known, so each of the two sales is bought with a chance of a tenth.
    assert (counts.serving_ppm, counts.candidate_ppm) == (200_000, 200_000)
    assert counts.serving_cells == counts.candidate_cells > 0


async def test_a_candidate_that_fails_is_counted_and_answers_go_on(trial: Trial) -> None:
    await trial.live.shadow_by(Model(candidate(BrokenRanker())))

    trial.ask()
    await asyncio.sleep(0)
    trial.pool.work()
    trial.ask()

    assert trial.counted() == ShadowCounts(failed=1)
    assert trial.outcomes()["failed"] == 1


async def test_a_candidate_that_computes_for_long_breaks_its_rule(trial: Trial) -> None:
    await trial.live.shadow_by(Model(candidate(LaboriousRanker())))

    for _ in range(4):
        trial.ask()
        await asyncio.sleep(0)
        trial.pool.work()

    rules = ShadowRules(min_answers=4)
    findings = shadow_findings(rules, trial.counted(), n_without=0)
    assert [one.rule for one in findings if one.state is State.BREACHED] == ["max_slower"]


async def test_a_shadow_that_is_no_candidate_counts_for_no_promotion(trial: Trial) -> None:
    other = Promotion.begun(2, "another", serving="b1", rules=RULES, at=START, who="key k1")
    trial.counter.follow(other)
    await trial.live.shadow_by(Model(candidate()))

    trial.ask()
    await asyncio.sleep(0)
    trial.pool.work()

    assert trial.counter.take("w1") is None
