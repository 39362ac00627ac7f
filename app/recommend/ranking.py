"""Slate ranking of one answer: by the model, or without it by the customer's list or popularity."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from time import perf_counter
from typing import Final

from app.catalogue.catalogue_version import CatalogueVersion
from app.observability import Metrics, get_logger
from app.recommend.covers import shown_covers
from app.recommend.degradation_level import (
    ALL_LOST,
    CAUSES,
    MODEL_FAILED,
    NO_MODEL,
    NOTHING_OPEN,
    OF_CATALOGUE,
    ORDER_MISSING,
    RIVAL_NOT_RANKED,
    RIVAL_TOO_SLOW,
    SHED,
    TOO_SLOW,
    Cause,
    DegradationLevel,
    worse,
)
from app.recommend.drift import Drift
from app.recommend.fallback_order import fallback_order, listed_candidates
from app.recommend.latency_estimate import MAX_DOUBLINGS, LatencyEstimate
from app.recommend.model_query import query_of, shortlist_of, with_sales_of
from app.recommend.page import empty_rows, exploration_cost, priced_list, ranked_page, row_records
from app.recommend.request import RankingRequest, Rival
from models.experiments.exposure_record import (
    CoversRecord,
    InterleavedRecord,
    RowRecord,
    ShownItem,
)
from models.query.query import Query
from models.recommenders.popularity import Popularity
from models.scoring.scorer import Scorer, Scores
from models.slate.exploration import Slate, seed_from, uniforms
from models.slate.interleaving import FIRST, NO_TEAM, SECOND, same_sales, team_draft
from models.slate.rule_price import RulePrice, is_priced, rule_prices
from models.slate.slate import (
    certain_order,
    fallback_page,
    fallback_slate,
    make_slate,
    under_rules,
)
from models.slate.slate_policy import SlatePolicy

BY_POPULARITY: Final = SlatePolicy(order_by=Popularity.name)

Scored = tuple[Query, Scores]
"""What was ranked in full, and its scores."""

_log = get_logger(__name__)


def _estimate_of_rivals() -> LatencyEstimate:
    # Their late answers serve a comparison alone, so they are tried again as rarely as can be.
    return LatencyEstimate(fewest_doublings=MAX_DOUBLINGS)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The slate of an answer.

    Attributes:
        slate: The sales shown, by rank.
        feature_hash: Hash of the feature matrix of what was ranked in full; empty without a model.
        cause: Why the answer is degraded; None for a full answer.
        exploration_cost: Outcomes that exploration is expected to lose; None where it changed
            nothing.
        interleaving: The second policy and the team of each place; None for a slate of one policy.
        listed: The customer's list as far as it could be shown; empty where it was not used.
        unmet: Names of the rules that are not met, see `models.slate.exploration.Slate`.
        rule_prices: What each rule costs; empty where they are not priced.
        rows: Rows of a page; empty for a list.
        shares: Of a list with a model, or of the first row of such a page; see
            `models.slate.exploration.Slate`.
        covers: The covers that were chosen; None where none was.
    """

    slate: tuple[ShownItem, ...]
    feature_hash: str
    cause: Cause | None
    exploration_cost: float | None = None
    interleaving: InterleavedRecord | None = None
    listed: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    rule_prices: tuple[RulePrice, ...] = ()
    rows: tuple[RowRecord, ...] = ()
    shares: tuple[tuple[str, int], ...] = ()
    covers: CoversRecord | None = None

    @property
    def degraded(self) -> DegradationLevel | None:
        """What the ranking had to do without; None for a full answer."""
        return self.cause.level if self.cause else None

    @property
    def sale_ids(self) -> tuple[str, ...]:
        """The sales shown, by rank."""
        return tuple(shown.sale_id for shown in self.slate)


NOTHING: Final = Ranking((), "", NOTHING_OPEN)
NOTHING_LEFT: Final = Ranking((), "", ALL_LOST)


@dataclass(frozen=True, slots=True)
class SlateRanker:
    """Ranks with the scorer of the catalogue, and without where there is none or it fails.

    Attributes:
        metrics: Count failures of the model.
        latency: How long the model takes on this machine.
        rivals_latency: The same of second policies of interleaved slates, which may have the same
            bundle.
        drift: Compares full answers with training; None for no comparison.
        clock: Counts seconds, from any beginning.
    """

    metrics: Metrics
    latency: LatencyEstimate = field(default_factory=LatencyEstimate)
    rivals_latency: LatencyEstimate = field(default_factory=_estimate_of_rivals)
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
            return replace(NOTHING, rows=empty_rows(asked))
        every, scorer = query_of(asked, asked.served), asked.served.scorer
        if not len(every.rows):
            is_lost = asked.cause is CAUSES[DegradationLevel.REMEMBERED]
            return replace(NOTHING_LEFT if is_lost else NOTHING, rows=empty_rows(asked))
        if scorer is None:
            return _without_model(asked, every, NO_MODEL)
        started, policy = self.clock(), order_of(asked)
        scored = self._scored(self.latency, scorer, asked, every, policy, within_s=within_s)
        if isinstance(scored, Cause):
            return _without_model(asked, every, scored)
        query, scores = scored
        if self.drift is not None and asked.cause is None and asked.request.choice.sale_ids is None:
            # Training saw known customers and all that was open: others do not compare.
            self.drift.compare(scorer, query, scores=scores)
        cause = asked.cause
        if asked.rival is not None and policy is asked.policy:
            left_s = (within_s or 0.0) - (self.clock() - started)
            found = self._by_rival(asked, asked.rival, within_s=left_s)
            if not isinstance(found, Cause):
                shared = _shared(asked, asked.rival, scored, rivals=found, every=every)
                return _with_covers(asked, query, shared, scorer=scorer)
            cause = worse(cause, found)
        alone = self._by_model(asked, query, scores, scorer=scorer, policy=policy)
        return _with_covers(asked, query, replace(alone, cause=cause), scorer=scorer)

    def _by_model(
        self,
        asked: RankingRequest,
        query: Query,
        scores: Scores,
        *,
        scorer: Scorer,
        policy: SlatePolicy,
    ) -> Ranking:
        ranking = _with_model(asked, query, scores, scorer=scorer, policy=policy)
        cost = ranking.exploration_cost
        if cost is not None:
            self.metrics.exploration.record(cost)
        if not (len(policy.rules) and is_priced(seed_from(asked.recommendation_id))):
            return ranking
        query, scores, limit = priced_list(asked, query, scores=scores, scorer=scorer)
        if not len(query.rows):
            return ranking
        prices = rule_prices(
            query,
            scores,
            rules=policy.rules,
            diversity=policy.diversity,
            p_examined=scorer.p_examined(limit, asked.request.device),
        )
        for price in prices:
            self.metrics.rules.record(price.rule, price.outcomes)
        return replace(ranking, rule_prices=prices)

    def _by_rival(self, asked: RankingRequest, rival: Rival, *, within_s: float) -> Scored | Cause:
        scorer = rival.served.scorer
        if scorer is None:
            return RIVAL_NOT_RANKED
        if within_s <= 0:
            return RIVAL_TOO_SLOW
        query = query_of(asked, rival.served)
        scored = self._scored(
            self.rivals_latency, scorer, asked, query, rival.policy, within_s=within_s
        )
        if not isinstance(scored, Cause):
            return scored
        return RIVAL_TOO_SLOW if scored is TOO_SLOW else RIVAL_NOT_RANKED

    def _scored(
        self,
        latency: LatencyEstimate,
        scorer: Scorer,
        asked: RankingRequest,
        every: Query,
        policy: SlatePolicy,
        *,
        within_s: float | None,
    ) -> Scored | Cause:
        if within_s is None:
            return SHED
        if policy.order_by not in scorer.policies:
            self.metrics.model_errors.labels("OrderMissing").inc()
            return ORDER_MISSING
        n_candidates = len(every.rows)
        if not latency.allows(scorer.bundle_id, n_candidates, within_s=within_s):
            self.metrics.model_errors.labels("TooSlow").inc()
            return TOO_SLOW
        started = self.clock()
        try:
            query = shortlist_of(asked, every, scorer=scorer, policy=policy)
            scores = scorer.score(query, policy.order_by)
        except Exception as exc:  # noqa: BLE001 - the one place that decides on a fallback
            error = type(exc).__name__
            self.metrics.model_errors.labels(error).inc()
            _log.error("the model failed", error=error, reason=str(exc))
            return MODEL_FAILED
        latency.record(scorer.bundle_id, n_candidates, took_s=self.clock() - started)
        return query, scores


def rank_with(asked: RankingRequest, served: CatalogueVersion) -> tuple[Ranking, Scores]:
    """Rank a request by the model of another catalogue version, without any fallback.

    Raises:
        ValueError: If there is no scorer. The model may raise anything else.
    """
    if served.scorer is None:
        msg = f"catalogue {served.snapshot_id} has no scorer to rank with"
        raise ValueError(msg)
    query = query_of(asked, served)
    query = shortlist_of(asked, query, scorer=served.scorer, policy=asked.policy)
    scores = served.scorer.score(query, asked.policy.order_by)
    ranking = _with_model(asked, query, scores, scorer=served.scorer, policy=asked.policy)
    return ranking, scores


def order_of(asked: RankingRequest) -> SlatePolicy:
    """Return the policy of a request: by popularity where the catalogue is stale, by its rules."""
    if asked.cause is not CAUSES[DegradationLevel.SNAPSHOT]:
        return asked.policy
    return BY_POPULARITY.model_copy(update={"rules": asked.policy.rules})


def _with_covers(
    asked: RankingRequest, query: Query, ranking: Ranking, *, scorer: Scorer
) -> Ranking:
    covers = shown_covers(asked, query, scorer=scorer, slate=ranking.slate)
    return ranking if covers is None else replace(ranking, covers=covers)


def _without_model(asked: RankingRequest, query: Query, cause: Cause) -> Ranking:
    listed = listed_candidates(asked, query)
    rules, limit = asked.policy.rules, asked.request.limit
    order, filled = fallback_order(asked, query, listed=listed), tuple[RowRecord, ...]()
    if asked.request.rows and order is not None:
        page = fallback_page(query, order, rows=asked.request.rows, rules=rules)
        slate, filled = page.slate, row_records(asked, query, page=page)
    else:
        slate = fallback_slate(query, order, rules=rules, limit=limit)
    items = _items(query, slate, [None] * len(slate.picks))
    rows: list[int] = query.rows[listed].tolist()
    names = tuple([query.catalogue.sales[row].sale_id for row in rows])
    if asked.cause is not None and asked.cause.level in OF_CATALOGUE:
        return Ranking(items, "", asked.cause, listed=names, unmet=slate.unmet, rows=filled)
    level = DegradationLevel.LIST if names else cause.level
    cause = replace(cause, level=level)
    return Ranking(items, "", cause, listed=names, unmet=slate.unmet, rows=filled)


def _with_model(
    asked: RankingRequest, query: Query, scores: Scores, *, scorer: Scorer, policy: SlatePolicy
) -> Ranking:
    if asked.request.rows:
        return _page_with_model(asked, query, scores, scorer=scorer, policy=policy)
    seed, limit = seed_from(asked.recommendation_id), asked.request.limit
    slate = make_slate(query, scores, policy=policy, limit=limit, seed=seed)
    probabilities: list[float] = scores.probabilities[slate.picks].tolist()
    items = _items(query, slate, probabilities)
    cost = None
    if slate.is_explored:
        n_places = max(len(slate.picks), len(slate.unexplored))
        examined = scorer.p_examined(n_places, asked.request.device)
        cost = slate.cost(scores.probabilities, examined)
    return Ranking(
        items, scores.feature_hash, asked.cause, cost, unmet=slate.unmet, shares=slate.shares
    )


def _page_with_model(
    asked: RankingRequest, query: Query, scores: Scores, *, scorer: Scorer, policy: SlatePolicy
) -> Ranking:
    page = ranked_page(asked, query, scores=scores, scorer=scorer, policy=policy)
    probabilities: list[float] = scores.probabilities[page.slate.picks].tolist()
    return Ranking(
        _items(query, page.slate, probabilities),
        scores.feature_hash,
        asked.cause,
        exploration_cost(page, scores, scorer=scorer, device=asked.request.device),
        unmet=page.slate.unmet,
        rows=row_records(asked, query, page=page),
        shares=page.rows[0].slate.shares,
    )


def _shared(
    asked: RankingRequest,
    rival: Rival,
    scored: Scored,
    *,
    rivals: Scored,
    every: Query,
) -> Ranking:
    """Interleave both slates; probabilities are the first policy's, so that they compare."""
    feature_hash = scored[1].feature_hash
    query, scores = with_sales_of(rivals[0], scored, every=every, asked=asked)
    rivals_query, rivals_scores = rivals
    limit, rules = asked.request.limit, asked.policy.rules
    # Of one experiment both have the same rules.
    ruled, rivals_ruled = (
        under_rules(*one, rules=rules, limit=limit) for one in ((query, scores), rivals)
    )
    first = certain_order(query, scores, policy=asked.policy, ruled=ruled, limit=limit)
    second = certain_order(*rivals, policy=rival.policy, ruled=rivals_ruled, limit=limit)
    draft = team_draft(
        first,
        same_sales(rivals_query, second, other=query),
        limit=limit,
        drawn=uniforms(seed_from(asked.recommendation_id), limit),
        ruled=ruled,
    )
    names = {FIRST: rival.first, SECOND: rival.second, NO_TEAM: None}
    probabilities: list[float] = scores.probabilities[draft.slate.picks].tolist()
    record = InterleavedRecord(
        experiment=rival.experiment,
        first=rival.first,
        second=rival.second,
        teams=tuple([names[team] for team in draft.teams.tolist()]),
        snapshot_id=rival.served.snapshot_id,
        bundle_id=rival.served.bundle_id,
        order_by=rival.policy.order_by,
        diversity=rival.policy.diversity,
        feature_hash=rivals_scores.feature_hash,
    )
    items = _items(query, draft.slate, probabilities)
    return Ranking(
        items,
        feature_hash,
        asked.cause,
        interleaving=record,
        unmet=draft.slate.unmet,
        shares=draft.slate.shares,
    )


def _items(
    query: Query, slate: Slate, probabilities: list[float] | list[None]
) -> tuple[ShownItem, ...]:
    sales = query.catalogue.sales
    rows: list[int] = query.rows[slate.picks].tolist()
    rules = slate.rules or [()] * len(rows)
    shown = zip(rows, slate.propensities.tolist(), probabilities, rules, strict=True)
    return tuple(
        ShownItem(sales[row].sale_id, rank, propensity, probability, names)
        for rank, (row, propensity, probability, names) in enumerate(shown, start=1)
    )
