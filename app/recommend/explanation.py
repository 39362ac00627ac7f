"""Explanations of the sales of an answer, computed in a separate thread within one second."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final

import numpy as np
from prometheus_client import Counter

from app.observability import get_logger
from app.recommend.model_query import query_of
from app.recommend.ranking import order_of
from app.recommend.request import RankingRequest
from models.ranker.explanation import Explanation

# Sales of one answer: about two milliseconds each.
MAX_EXPLAINED: Final = 20

# Answers that wait for the thread: at 40 ms each, the last waits a third of a second.
MAX_WAITING: Final = 8

# After this an answer goes out without explanations; chosen, not measured.
WITHIN_S: Final = 1.0

NOTHING: Final[tuple[Explanation, ...]] = ()

_log = get_logger(__name__)


@dataclass(slots=True)
class Explainer:
    """Explains in a thread of its own, up to `MAX_WAITING` answers at a time.

    Attributes:
        pool: One thread.
        outcomes: Counts explanations by outcome.
        within_s: After this an answer goes out without explanations.
    """

    pool: Executor
    outcomes: Counter
    within_s: float = WITHIN_S
    _n_waiting: int = 0

    async def explain(
        self, asked: RankingRequest, sale_ids: Sequence[str]
    ) -> tuple[Explanation, ...]:
        """Explain the first sales of an answer that a model scored.

        Returns:
            One explanation each of the first `MAX_EXPLAINED`; none at all where explaining fails
            or takes too long, or too many answers wait for it.
        """
        if self._n_waiting >= MAX_WAITING:
            self.outcomes.labels("busy").inc()
            return NOTHING
        self._n_waiting += 1
        # The context carries the request id into the log lines of the thread.
        context, explained = copy_context(), tuple(sale_ids[:MAX_EXPLAINED])
        explaining = asyncio.get_running_loop().run_in_executor(
            self.pool, lambda: context.run(self._explained, asked, explained)
        )
        explaining.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(self.within_s):
                # A thread cannot be stopped: its place is free when it has ended.
                return await asyncio.shield(explaining)
        except TimeoutError:
            self.outcomes.labels("late").inc()
            return NOTHING

    def _ended(self, _explaining: asyncio.Future[tuple[Explanation, ...]]) -> None:
        self._n_waiting -= 1

    def _explained(
        self, asked: RankingRequest, sale_ids: tuple[str, ...]
    ) -> tuple[Explanation, ...]:
        served = asked.served
        if served is None or served.scorer is None or not sale_ids:
            return NOTHING
        try:
            query = query_of(asked, served)
            rows = [served.catalogue.row_for(sale_id) for sale_id in sale_ids]
            explained = served.scorer.explain(
                query, np.array(rows, dtype=np.int64), policy=order_of(asked).order_by
            )
        except Exception as exc:  # noqa: BLE001 - an answer is worth more than its reasons
            self.outcomes.labels("failed").inc()
            _log.error(
                "an explanation failed: the answer goes out without",
                error=type(exc).__name__,
                reason=str(exc),
            )
            return NOTHING
        self.outcomes.labels("explained").inc()
        return explained
