"""A model that nobody sees scores what another one answered; answers never wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter, thread_time_ns
from typing import Final

import numpy as np

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.catalogue_version import CatalogueVersion
from app.observability import ShadowMetrics, get_logger
from app.promotion.promotion_tally import PromotionTally
from app.recommend.ranking import Ranking, ranked
from app.recommend.request import RankingRequest
from models.promotion.count import MILLION, ShadowCounts
from models.scoring.scorer import Scores
from models.slate.slate_policy import SlatePolicy

RESTS: Final = 9
"""After each ranking the shadow rests so many times as long: a tenth of one core at most.

A thread of low priority would be worse than none: while it holds the interpreter and waits for
its turn on a busy machine, all answers wait with it.
"""

NS_PER_US: Final = 1_000

_log = get_logger(__name__)


class Shadow:
    """Ranks again one answer at a time; what comes while it ranks or rests is dropped.

    The model that answered ranks again too, in the same thread: only there do the computing
    times of both compare. Each of them begins every other time, for the second finds the
    question in the caches.
    """

    def __init__(
        self,
        live: CatalogueFollower,
        *,
        pool: Executor,
        metrics: ShadowMetrics,
        tally: PromotionTally,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Rank in a thread of a pool, with the shadow of a catalogue if it has one."""
        self._live = live
        self._pool = pool
        self._metrics = metrics
        self._tally = tally
        self._clock = clock
        self._rests_until = 0.0
        self._busy = False
        self._is_second = False

    def see(self, question: RankingRequest, policy: SlatePolicy, *, ranking: Ranking) -> None:
        """Take an answer of the model; it is ranked again after it was sent, or dropped."""
        shadow = self._live.shadow
        if shadow is None or ranking.rung is not None:
            return
        if self._busy or self._clock() < self._rests_until:
            self._metrics.answers.labels("dropped").inc()
            return
        self._busy = True
        # The next round of the loop comes after the answer.
        asyncio.get_running_loop().call_soon(self._start, question, policy, shadow)

    def _start(
        self, question: RankingRequest, policy: SlatePolicy, shadow: CatalogueVersion
    ) -> None:
        self._pool.submit(self._compare, question, policy, shadow)

    def _compare(
        self, question: RankingRequest, policy: SlatePolicy, shadow: CatalogueVersion
    ) -> None:
        started = self._clock()
        try:
            counts = self._ranked_by_both(question, policy, shadow=shadow)
        except Exception as exc:  # noqa: BLE001 - whatever a model on trial does is a finding
            self._metrics.answers.labels("failed").inc()
            self._tally.compare(shadow.bundle_id, ShadowCounts(failed=1))
            _log.warning("the shadow failed", error=type(exc).__name__, reason=str(exc))
        else:
            self._metrics.answers.labels("scored").inc()
            self._tally.compare(shadow.bundle_id, counts)
        finally:
            now = self._clock()
            self._rests_until = now + RESTS * (now - started)
            self._busy = False

    def _ranked_by_both(
        self, question: RankingRequest, policy: SlatePolicy, *, shadow: CatalogueVersion
    ) -> ShadowCounts:
        served = question.served
        if served is None:
            msg = "a question without a catalogue was answered by no model"
            raise ValueError(msg)
        self._is_second = not self._is_second
        if self._is_second:
            champion = _timed(question, served, policy=policy)
            challenger = _timed(question, shadow, policy=policy)
        else:
            challenger = _timed(question, shadow, policy=policy)
            champion = _timed(question, served, policy=policy)
        self._observe(champion.ranking, challenger.ranking)
        return _compared(champion, challenger)

    def _observe(self, champion: Ranking, challenger: Ranking) -> None:
        if not champion.sale_ids:
            return
        self._metrics.overlap.observe(_n_shared(champion, challenger) / len(champion.sale_ids))
        for role, ranking in (("champion", champion), ("shadow", challenger)):
            for probability in ranking.probabilities:
                self._metrics.probability.labels(role).observe(probability)


@dataclass(frozen=True, slots=True, eq=False)
class _Timed:
    """A ranking, its scores, and the computing time of both in microseconds."""

    ranking: Ranking
    scores: Scores
    took_us: int


def _timed(question: RankingRequest, served: CatalogueVersion, *, policy: SlatePolicy) -> _Timed:
    # Of this thread alone: on a busy machine it would otherwise measure who waits for whom.
    started = thread_time_ns()
    ranking, scores = ranked(question, served, policy=policy)
    return _Timed(ranking, scores, (thread_time_ns() - started) // NS_PER_US)


def _compared(champion: _Timed, challenger: _Timed) -> ShadowCounts:
    return ShadowCounts(
        scored=1,
        serving_us=champion.took_us,
        candidate_us=challenger.took_us,
        shown=len(champion.ranking.sale_ids),
        shared=_n_shared(champion.ranking, challenger.ranking),
        serving_ppm=round(sum(champion.ranking.probabilities) * MILLION),
        candidate_ppm=round(sum(challenger.ranking.probabilities) * MILLION),
        serving_cells=champion.scores.features.size,
        serving_missing=_n_missing(champion),
        candidate_cells=challenger.scores.features.size,
        candidate_missing=_n_missing(challenger),
    )


def _n_shared(champion: Ranking, challenger: Ranking) -> int:
    return len(set(champion.sale_ids) & set(challenger.sale_ids))


def _n_missing(timed: _Timed) -> int:
    return int(np.isnan(timed.scores.features).sum())
