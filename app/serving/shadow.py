"""A model that nobody sees scores what another one answered; answers never wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from time import perf_counter
from typing import Final

from app.observability import ShadowMetrics, get_logger
from app.serving.live import LiveCatalogue
from app.serving.question import Question
from app.serving.ranking import Ranking, ranked
from app.serving.served import ServedCatalogue
from models.experiments.policy import SlatePolicy

RESTS: Final = 9
"""After each ranking the shadow rests so many times as long: a tenth of one core at most.

A thread of low priority would be worse than none: while it holds the interpreter and waits for
its turn on a busy machine, all answers wait with it.
"""

_log = get_logger(__name__)


class Shadow:
    """Ranks again one answer at a time; what comes while it ranks or rests is dropped."""

    def __init__(
        self,
        live: LiveCatalogue,
        *,
        pool: Executor,
        metrics: ShadowMetrics,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Rank in a thread of a pool, with the shadow of a catalogue if it has one."""
        self._live = live
        self._pool = pool
        self._metrics = metrics
        self._clock = clock
        self._rests_until = 0.0
        self._busy = False

    def see(self, question: Question, policy: SlatePolicy, *, ranking: Ranking) -> None:
        """Take an answer of the model; it is ranked again after it was sent, or dropped."""
        shadow = self._live.shadow
        if shadow is None or ranking.rung is not None:
            return
        if self._busy or self._clock() < self._rests_until:
            self._metrics.answers.labels("dropped").inc()
            return
        self._busy = True
        # The next round of the loop comes after the answer.
        asyncio.get_running_loop().call_soon(self._start, question, policy, ranking, shadow)

    def _start(
        self, question: Question, policy: SlatePolicy, ranking: Ranking, shadow: ServedCatalogue
    ) -> None:
        self._pool.submit(self._compare, question, policy, ranking, shadow)

    def _compare(
        self, question: Question, policy: SlatePolicy, champion: Ranking, shadow: ServedCatalogue
    ) -> None:
        started = self._clock()
        try:
            challenger = ranked(question, shadow, policy=policy)
        except Exception as exc:  # noqa: BLE001 - whatever a model on trial does is a finding
            self._metrics.answers.labels("failed").inc()
            _log.warning("the shadow failed", error=type(exc).__name__, reason=str(exc))
        else:
            self._metrics.answers.labels("scored").inc()
            self._observe(champion, challenger)
        finally:
            now = self._clock()
            self._rests_until = now + RESTS * (now - started)
            self._busy = False

    def _observe(self, champion: Ranking, challenger: Ranking) -> None:
        if not champion.sale_ids:
            return
        n_shared = len(set(champion.sale_ids) & set(challenger.sale_ids))
        self._metrics.overlap.observe(n_shared / len(champion.sale_ids))
        for role, ranking in (("champion", champion), ("shadow", challenger)):
            for probability in ranking.probabilities:
                self._metrics.probability.labels(role).observe(probability)
