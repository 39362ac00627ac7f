"""The order of the sales of one answer, by the best means that are available."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from time import perf_counter
from typing import Final

import numpy as np

from app.catalogue.catalogue_version import CatalogueVersion
from app.observability import Metrics, get_logger
from app.recommend.candidates import candidates, chosen
from app.recommend.drift import Drift
from app.recommend.fallback import (
    MODEL_FAILED,
    NO_MODEL,
    OF_CATALOGUE,
    SHED,
    TOO_SLOW,
    Cause,
    DegradationLevel,
    popularity_order,
)
from app.recommend.latency_estimate import LatencyEstimate
from app.recommend.request import RankingRequest
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query
from models.recommenders.popularity import Popularity
from models.scoring.scorer import Scorer, Scores
from models.slate.exploration import Slate, seed_of
from models.slate.slate import best, make_slate
from models.slate.slate_policy import SlatePolicy

BY_POPULARITY: Final = SlatePolicy(order_by=Popularity.name)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The sales to show, best first.

    Attributes:
        sale_ids: One per rank.
        propensities: Probability of each at its rank, given those above it.
        probabilities: Purchase probability of each; empty where no model scored.
        feature_hash: Hash of the feature matrix of all candidates; empty without a model.
        rung: What the ranking had to do without; None for a full answer.
        cause: Why the model did not rank; None where it did, or the rung says it.
    """

    sale_ids: tuple[str, ...]
    propensities: tuple[float, ...]
    probabilities: tuple[float, ...]
    feature_hash: str
    rung: DegradationLevel | None
    cause: Cause | None = None


NOTHING: Final = Ranking((), (), (), "", DegradationLevel.EMPTY)


@dataclass(frozen=True, slots=True)
class SlateRanker:
    """Ranks with the scorer of the catalogue, and without where there is none or it fails.

    Attributes:
        metrics: Count what went wrong.
        pace: How long the model takes here.
        drift: Looks at what full answers were made from; None where nobody does.
        clock: Counts seconds, from any beginning.
    """

    metrics: Metrics
    pace: LatencyEstimate = field(default_factory=LatencyEstimate)
    drift: Drift | None = None
    clock: Callable[[], float] = perf_counter

    def rank(
        self,
        question: RankingRequest,
        policy: SlatePolicy,
        *,
        rung: DegradationLevel | None,
        within_s: float | None = inf,
    ) -> Ranking:
        """Order the candidates of a question.

        Args:
            question: Who asks, when, about which catalogue.
            policy: How the customer's variant makes slates; without a model, by popularity.
            rung: What is known to be missing already. A stale catalogue is ordered by
                popularity, whatever the variant.
            within_s: Time that is left; a model that would take longer is not asked, and for
                None no model at all.
        """
        if question.served is None:
            return NOTHING
        query, scorer = query_of(question, question.served), question.served.scorer
        limit = question.request.limit
        if not len(query.rows):
            return NOTHING
        if rung is DegradationLevel.SNAPSHOT:
            policy = BY_POPULARITY
        scores = self._scores(scorer, query, policy, within_s=within_s)
        if isinstance(scores, Scores):
            self._look(question, scores, rung=rung)
            return _with_model(question, query, scores, policy=policy, rung=rung)
        choice = question.request.choice
        if choice is not None and choice.is_ordered:
            shown = np.arange(min(limit, len(query.rows)))
        else:
            shown = best(popularity_order(query.catalogue, query.rows), limit)
        ranking = _ranking(query, Slate.certain(shown), None, rung=rung)
        if rung in OF_CATALOGUE:
            return ranking
        return replace(ranking, rung=DegradationLevel.POPULARITY, cause=scores)

    def _look(
        self, question: RankingRequest, scores: Scores, *, rung: DegradationLevel | None
    ) -> None:
        """Count what training can be compared with: all that is open, for somebody known."""
        scorer = question.served.scorer if question.served else None
        is_usual = rung is None and question.request.choice is None
        if self.drift is not None and scorer is not None and is_usual:
            self.drift.see(scorer, scores)

    def _scores(
        self, scorer: Scorer | None, query: Query, policy: SlatePolicy, *, within_s: float | None
    ) -> Scores | Cause:
        if scorer is None:
            return NO_MODEL
        if within_s is None:
            return SHED
        n_candidates = len(query.rows)
        if not self.pace.allows(n_candidates, within_s):
            self.metrics.model_errors.labels("TooSlow").inc()
            return TOO_SLOW
        started = self.clock()
        try:
            scores = scorer.score(query, policy.order_by)
        except Exception as exc:  # noqa: BLE001 - the one place that decides on a fallback
            error = type(exc).__name__
            self.metrics.model_errors.labels(error).inc()
            _log.error("the model failed", error=error, reason=str(exc))
            return MODEL_FAILED
        self.pace.note(n_candidates, self.clock() - started)
        return scores


def ranked(
    question: RankingRequest, served: CatalogueVersion, *, policy: SlatePolicy
) -> tuple[Ranking, Scores]:
    """Answer a question by a catalogue and its scorer, whatever that may raise.

    Raises:
        ValueError: If there is no scorer.
    """
    if served.scorer is None:
        msg = "a catalogue without a scorer ranks nothing again"
        raise ValueError(msg)
    query = query_of(question, served)
    scores = served.scorer.score(query, policy.order_by)
    return _with_model(question, query, scores, policy=policy, rung=None), scores


def query_of(question: RankingRequest, served: CatalogueVersion) -> Query:
    """Return what a scorer is asked: the candidates of a question, in a catalogue."""
    request, state, catalogue = question.request, question.state, served.catalogue
    offer = served.offers.at(request.market, state.now_us)
    rows = candidates(offer, exclude=request.exclude)
    choice = request.choice
    if choice is not None:
        rows = chosen(rows, catalogue, choice=choice)
    return Query(
        window=state.window,
        profile=state.profile,
        catalogue=catalogue,
        context=Context(state.now_us, request.market, request.device),
        rows=rows,
        listing=CallerCandidates.of(catalogue, rows)
        if choice is not None and choice.is_ordered
        else None,
        offer=offer,
    )


def _with_model(
    question: RankingRequest,
    query: Query,
    scores: Scores,
    *,
    policy: SlatePolicy,
    rung: DegradationLevel | None,
) -> Ranking:
    seed = seed_of(question.recommendation_id)
    slate = make_slate(query, scores, policy=policy, limit=question.request.limit, seed=seed)
    return _ranking(query, slate, scores, rung=rung)


def _ranking(
    query: Query, slate: Slate, scores: Scores | None, *, rung: DegradationLevel | None
) -> Ranking:
    rows: list[int] = query.rows[slate.picks].tolist()
    return Ranking(
        sale_ids=tuple(query.catalogue.sales[row].sale_id for row in rows),
        propensities=tuple(slate.propensities.tolist()),
        probabilities=tuple(scores.probabilities[slate.picks].tolist()) if scores else (),
        feature_hash=scores.feature_hash if scores else "",
        rung=rung,
    )
