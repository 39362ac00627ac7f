"""Shadow scoring: a candidate model re-ranks answered requests, without being shown.

Its slates are counted and not shown; answers never wait for it.
"""

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
from app.promotion.answer_counter import AnswerCounter
from app.recommend.ranking import Ranking, rank_with
from app.recommend.request import RankingRequest
from models.promotion.count import MILLION, ShadowCounts
from models.scoring.scorer import Scores

# After each ranking the shadow rests nine times as long: a tenth of one core at most. A thread of
# low priority would be worse than none: while it holds the interpreter and waits for its turn on a
# busy machine, all answers wait with it.
RESTS: Final = 9

NS_PER_US: Final = 1_000

_log = get_logger(__name__)


class Shadow:
    """Ranks one request at a time; requests that come while it ranks or rests are dropped.

    The model that answered ranks again too, in the same thread: only there do the computing
    times of both compare. They begin in turns, because the second finds the data in the caches.
    """

    def __init__(
        self,
        live: CatalogueFollower,
        *,
        pool: Executor,
        metrics: ShadowMetrics,
        counter: AnswerCounter,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Rank in a thread of a pool, with the catalogue's shadow if it has one."""
        self._live = live
        self._pool = pool
        self._metrics = metrics
        self._counter = counter
        self._clock = clock
        self._rests_until = 0.0
        self._busy = False
        self._is_second = False

    def compare(self, asked: RankingRequest) -> None:
        """Take a request that the model answered; rank it again after the answer, or drop it."""
        shadow = self._live.shadow
        if shadow is None:
            return
        if self._busy or self._clock() < self._rests_until:
            self._metrics.answers.labels("dropped").inc()
            return
        self._busy = True
        # The next round of the loop comes after the answer.
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: self._pool.submit(self._compare, asked, shadow))

    def _compare(self, asked: RankingRequest, shadow: CatalogueVersion) -> None:
        started = self._clock()
        try:
            counts = self._ranked_by_both(asked, shadow)
        except Exception as exc:  # noqa: BLE001 - any error of a model on trial is a finding
            self._metrics.answers.labels("failed").inc()
            self._counter.record_shadow(shadow.bundle_id, ShadowCounts(failed=1))
            _log.warning("the shadow failed", error=type(exc).__name__, reason=str(exc))
        else:
            self._metrics.answers.labels("scored").inc()
            self._counter.record_shadow(shadow.bundle_id, counts)
        finally:
            now = self._clock()
            self._rests_until = now + RESTS * (now - started)
            self._busy = False

    def _ranked_by_both(self, asked: RankingRequest, shadow: CatalogueVersion) -> ShadowCounts:
        served = asked.served
        if served is None:
            msg = "a request without a catalogue was answered by no model"
            raise ValueError(msg)
        self._is_second = not self._is_second
        if self._is_second:
            champion = _timed(asked, served)
            challenger = _timed(asked, shadow)
        else:
            challenger = _timed(asked, shadow)
            champion = _timed(asked, served)
        shown = champion.ranking.sale_ids
        n_shared = len(set(shown) & set(challenger.ranking.sale_ids))
        if shown:
            self._metrics.overlap.observe(n_shared / len(shown))
            for role, one in (("champion", champion), ("shadow", challenger)):
                for probability in one.probabilities:
                    self._metrics.probability.labels(role).observe(probability)
        return ShadowCounts(
            scored=1,
            serving_us=champion.took_us,
            candidate_us=challenger.took_us,
            shown=len(shown),
            shared=n_shared,
            # Integers, because the store adds up counters of all workers exactly.
            serving_ppm=round(sum(champion.probabilities) * MILLION),
            candidate_ppm=round(sum(challenger.probabilities) * MILLION),
            serving_cells=champion.scores.features.size,
            serving_missing=int(np.isnan(champion.scores.features).sum()),
            candidate_cells=challenger.scores.features.size,
            candidate_missing=int(np.isnan(challenger.scores.features).sum()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Timed:
    """A ranking, its scores, and the computing time of both in microseconds."""

    ranking: Ranking
    scores: Scores
    took_us: int

    @property
    def probabilities(self) -> list[float]:
        given = (shown.purchase_probability for shown in self.ranking.slate)
        return [probability for probability in given if probability is not None]


def _timed(asked: RankingRequest, served: CatalogueVersion) -> _Timed:
    # Processor time of this thread alone: elapsed time would include waiting for other threads.
    started = thread_time_ns()
    ranking, scores = rank_with(asked, served)
    return _Timed(ranking, scores, (thread_time_ns() - started) // NS_PER_US)
