"""The order of the sales of one answer, by the best means that are available."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.experiments.experiment import Policy
from app.observability import Metrics, get_logger
from app.serving.candidates import candidates, chosen
from app.serving.fallback import Rung, popularity_order
from app.serving.pace import Pace
from app.serving.question import Question
from app.serving.selection import best
from app.serving.served import ServedCatalogue
from models.catalogue import Catalogue
from models.listing import Listing
from models.query import Context, Query
from models.scoring import Scorer, Scores

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The sales to show, best first.

    Attributes:
        sale_ids: One per rank.
        probabilities: Purchase probability of each; empty where no model scored.
        feature_hash: Hash of the feature matrix of all candidates; empty without a model.
        rung: What the ranking had to do without; None for a full answer.
    """

    sale_ids: tuple[str, ...]
    probabilities: tuple[float, ...]
    feature_hash: str
    rung: Rung | None


NOTHING: Final = Ranking((), (), "", Rung.EMPTY)


@dataclass(frozen=True, slots=True)
class SlateRanker:
    """Ranks with the scorer of the catalogue, and without where there is none or it fails.

    Attributes:
        metrics: Count what went wrong.
        pace: How long the model takes here.
        clock: Counts seconds, from any beginning.
    """

    metrics: Metrics
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = perf_counter

    def rank(
        self, question: Question, policy: Policy, *, rung: Rung | None, within_s: float = inf
    ) -> Ranking:
        """Order the candidates of a question.

        Args:
            question: Who asks, when, about which catalogue.
            policy: How the customer's variant orders the sales.
            rung: What is known to be missing already. A stale catalogue is ordered by
                popularity, whatever the variant.
            within_s: Time that is left; a model that would take longer is not asked.
        """
        if question.served is None:
            return NOTHING
        query, scorer = _query(question, question.served.catalogue), question.served.scorer
        limit = question.request.limit
        if rung is Rung.SNAPSHOT:
            if not len(query.rows):
                return NOTHING
            policy = Policy.POPULARITY
        scores = self._scores(scorer, query, policy, within_s=within_s)
        if scores is not None:
            return _with_model(query, scores, limit=limit, rung=rung)
        choice = question.request.choice
        if choice is not None and choice.is_ordered:
            shown = np.arange(min(limit, len(query.rows)))
        else:
            shown = best(popularity_order(query.catalogue, query.rows), limit)
        lower = Rung.SNAPSHOT if rung is Rung.SNAPSHOT else Rung.POPULARITY
        return Ranking(_sale_ids(query, shown), (), "", lower)

    def _scores(
        self, scorer: Scorer | None, query: Query, policy: Policy, *, within_s: float
    ) -> Scores | None:
        if scorer is None:
            return None
        n_candidates = len(query.rows)
        if not self.pace.allows(n_candidates, within_s):
            self.metrics.model_errors.labels("TooSlow").inc()
            return None
        started = self.clock()
        try:
            scores = scorer.score(query, policy)
        except Exception as exc:  # noqa: BLE001 - the one place that decides on a fallback
            error = type(exc).__name__
            self.metrics.model_errors.labels(error).inc()
            _log.error("the model failed", error=error, reason=str(exc))
            return None
        self.pace.note(n_candidates, self.clock() - started)
        return scores


def ranked(question: Question, served: ServedCatalogue, *, policy: Policy) -> Ranking:
    """Answer a question by another catalogue and its scorer, whatever that may raise.

    Raises:
        ValueError: If there is no scorer.
    """
    if served.scorer is None:
        msg = "a catalogue without a scorer ranks nothing again"
        raise ValueError(msg)
    query = _query(question, served.catalogue)
    scores = served.scorer.score(query, policy)
    return _with_model(query, scores, limit=question.request.limit, rung=None)


def _query(question: Question, catalogue: Catalogue) -> Query:
    request, state = question.request, question.state
    rows = candidates(catalogue, state.now_us, market=request.market, exclude=request.exclude)
    choice = request.choice
    if choice is not None:
        rows = chosen(rows, catalogue, choice=choice)
    return Query(
        window=state.window,
        profile=state.profile,
        catalogue=catalogue,
        context=Context(state.now_us, request.market, request.device),
        rows=rows,
        listing=Listing.of(catalogue, rows) if choice is not None and choice.is_ordered else None,
    )


def _with_model(query: Query, scores: Scores, *, limit: int, rung: Rung | None) -> Ranking:
    shown = best(scores.order, limit)
    probabilities = tuple(scores.probabilities[shown].tolist())
    return Ranking(_sale_ids(query, shown), probabilities, scores.feature_hash, rung)


def _sale_ids(query: Query, shown: NDArray[np.intp]) -> tuple[str, ...]:
    rows: list[int] = query.rows[shown].tolist()
    return tuple(query.catalogue.sales[row].sale_id for row in rows)
