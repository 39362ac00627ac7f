"""Slate ranking of one answer: by the model, or by popularity if the model cannot answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import Final

import numpy as np

from app.catalogue.catalogue_version import CatalogueVersion
from app.observability import Metrics, get_logger
from app.recommend.degradation_level import (
    CAUSES,
    MODEL_FAILED,
    NO_MODEL,
    NOTHING_OPEN,
    OF_CATALOGUE,
    ORDER_MISSING,
    SHED,
    TOO_SLOW,
    Cause,
    DegradationLevel,
)
from app.recommend.drift import Drift
from app.recommend.latency_estimate import LatencyEstimate
from app.recommend.request import RankingRequest
from models.experiments.exposure_record import ShownItem
from models.query.candidates import candidate_query
from models.query.query import Context, Query
from models.recommenders.popularity import Popularity, event_volume
from models.scoring.scorer import Scorer, Scores
from models.slate.exploration import Slate, seed_from
from models.slate.slate import best, make_slate
from models.slate.slate_policy import SlatePolicy

BY_POPULARITY: Final = SlatePolicy(order_by=Popularity.name)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The slate of an answer.

    Attributes:
        slate: The sales shown, by rank.
        feature_hash: Hash of the feature matrix of all candidates; empty without a model.
        cause: Why the answer is degraded; None for a full answer.
        exploration_cost: Purchases that exploration is expected to lose; None where it changed
            nothing.
    """

    slate: tuple[ShownItem, ...]
    feature_hash: str
    cause: Cause | None
    exploration_cost: float | None = None

    @property
    def degraded(self) -> DegradationLevel | None:
        """What the ranking had to do without; None for a full answer."""
        return self.cause.level if self.cause else None

    @property
    def sale_ids(self) -> tuple[str, ...]:
        """The sales shown, by rank."""
        return tuple(shown.sale_id for shown in self.slate)


NOTHING: Final = Ranking((), "", NOTHING_OPEN)


@dataclass(frozen=True, slots=True)
class SlateRanker:
    """Ranks with the scorer of the catalogue, and without where there is none or it fails.

    Attributes:
        metrics: Count failures of the model.
        latency: How long the model takes on this machine.
        drift: Compares full answers with training; None for no comparison.
        clock: Counts seconds, from any beginning.
    """

    metrics: Metrics
    latency: LatencyEstimate = field(default_factory=LatencyEstimate)
    drift: Drift | None = None
    clock: Callable[[], float] = perf_counter

    def rank(self, asked: RankingRequest, *, within_s: float | None = inf) -> Ranking:
        """Rank the candidates of a request.

        A stale catalogue is ordered by popularity, whichever policy the request has.

        Args:
            asked: The request and all that its ranking depends on.
            within_s: Seconds that are left. A model that would take longer is not called; for
                None no model is called at all.
        """
        if asked.served is None:
            return NOTHING
        query, scorer = query_of(asked, asked.served), asked.served.scorer
        if not len(query.rows):
            return NOTHING
        policy = order_of(asked)
        cause = NO_MODEL
        if scorer is not None:
            scores = self._scores(scorer, query, policy, within_s=within_s)
            if isinstance(scores, Scores):
                return self._by_model(asked, query, scores, scorer=scorer, policy=policy)
            cause = scores
        limit = asked.request.limit
        if asked.request.choice.is_ordered:
            picks = np.arange(min(limit, len(query.rows)))
        else:
            decayed = query.catalogue.counts.decayed[:, query.rows]
            picks = best(event_volume(decayed), limit)
        items = _items(query, Slate.certain(picks), [None] * len(picks))
        if asked.cause is not None and asked.cause.level in OF_CATALOGUE:
            return Ranking(items, "", asked.cause)
        return Ranking(items, "", cause)

    def _by_model(
        self,
        asked: RankingRequest,
        query: Query,
        scores: Scores,
        *,
        scorer: Scorer,
        policy: SlatePolicy,
    ) -> Ranking:
        is_usual = asked.cause is None and asked.request.choice.sale_ids is None
        if is_usual and self.drift is not None:
            # Training saw known customers and all that was open: others do not compare.
            self.drift.compare(scorer, scores)
        ranking = _with_model(asked, query, scores, scorer=scorer, policy=policy)
        cost = ranking.exploration_cost
        if cost is not None:
            self.metrics.exploration.record(cost)
        return ranking

    def _scores(
        self, scorer: Scorer, query: Query, policy: SlatePolicy, *, within_s: float | None
    ) -> Scores | Cause:
        if within_s is None:
            return SHED
        if policy.order_by not in scorer.policies:
            self.metrics.model_errors.labels("OrderMissing").inc()
            return ORDER_MISSING
        n_candidates = len(query.rows)
        if not self.latency.allows(scorer.bundle_id, n_candidates, within_s=within_s):
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
        self.latency.record(scorer.bundle_id, n_candidates, took_s=self.clock() - started)
        return scores


def rank_with(asked: RankingRequest, served: CatalogueVersion) -> tuple[Ranking, Scores]:
    """Rank a request by the model of another catalogue version, without any fallback.

    Raises:
        ValueError: If there is no scorer. The model may raise anything else.
    """
    if served.scorer is None:
        msg = f"catalogue {served.snapshot_id} has no scorer to rank with"
        raise ValueError(msg)
    query = query_of(asked, served)
    scores = served.scorer.score(query, asked.policy.order_by)
    ranking = _with_model(asked, query, scores, scorer=served.scorer, policy=asked.policy)
    return ranking, scores


def order_of(asked: RankingRequest) -> SlatePolicy:
    """Return the policy of a request: by popularity where the catalogue is stale."""
    is_stale = asked.cause is CAUSES[DegradationLevel.SNAPSHOT]
    return BY_POPULARITY if is_stale else asked.policy


def query_of(asked: RankingRequest, served: CatalogueVersion) -> Query:
    """Return the model's query for a request, in a catalogue version."""
    request, state = asked.request, asked.state
    return candidate_query(
        served.eligible_sales.at(request.market, state.now_us),
        Context(state.now_us, request.market, request.device),
        window=state.window,
        profile=state.profile,
        choice=request.choice,
    )


def _with_model(
    asked: RankingRequest, query: Query, scores: Scores, *, scorer: Scorer, policy: SlatePolicy
) -> Ranking:
    seed, limit = seed_from(asked.recommendation_id), asked.request.limit
    slate = make_slate(query, scores, policy=policy, limit=limit, seed=seed)
    probabilities: list[float] = scores.probabilities[slate.picks].tolist()
    items = _items(query, slate, probabilities)
    cost = None
    if slate.is_explored:
        cost = slate.cost(scores.probabilities, scorer.p_examined(len(slate.picks)))
    return Ranking(items, scores.feature_hash, asked.cause, cost)


def _items(
    query: Query, slate: Slate, probabilities: list[float] | list[None]
) -> tuple[ShownItem, ...]:
    sales = query.catalogue.sales
    rows: list[int] = query.rows[slate.picks].tolist()
    shown = zip(rows, slate.propensities.tolist(), probabilities, strict=True)
    return tuple(
        ShownItem(sales[row].sale_id, rank, propensity, probability)
        for rank, (row, propensity, probability) in enumerate(shown, start=1)
    )
