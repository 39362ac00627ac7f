"""Exposure record of an answer, made from the request, the slate and the scores."""

from collections.abc import Sequence

from app.catalogue.catalogue_version import CatalogueVersion
from app.recommend.ranking import Ranking
from app.recommend.request import RankingRequest
from app.recommend.routing import Routing
from models.domain.units import SECOND_US
from models.experiments.exposure_record import ExposureRecord


def exposure_record(
    asked: RankingRequest,
    routing: Routing,
    *,
    ranking: Ranking,
    versions: tuple[tuple[str, str], ...],
    took_s: float,
) -> ExposureRecord:
    """Return the record of an answer that took so many seconds from the request to the slate."""
    request, state, policy, served = asked.request, asked.state, asked.policy, asked.served
    choice, exclude, candidates = request.choice, excluded_ids(asked), _candidates(asked)
    return ExposureRecord(
        recommendation_id=asked.recommendation_id,
        customer_id=request.customer_id,
        session_id=request.session_id,
        device_id=request.device_id,
        now_us=state.now_us,
        market=request.market,
        device=request.device,
        limit=request.limit,
        exclude=exclude,
        excluded_unknown=len(set(choice.exclude).difference(exclude)),
        candidates=None if choice.sale_ids is None else candidates,
        candidates_unknown=len(choice.sale_ids or ()) - len(candidates),
        candidates_ordered=choice.is_ordered,
        window=state.window.pack(),
        profile=state.profile.pack(),
        snapshot_id=served.snapshot_id if served else "",
        bundle_id=served.bundle_id if served else "",
        plan_version=routing.stored.version,
        assignments=routing.route.assignments,
        order_by=policy.order_by,
        diversity=policy.diversity,
        exploration=policy.exploration.model_dump_json() if policy.exploration else None,
        degraded=ranking.degraded,
        cause=ranking.cause.name if ranking.cause else None,
        feature_hash=ranking.feature_hash,
        took_us=round(took_s * SECOND_US),
        slate=ranking.slate,
        interleaving=ranking.interleaving,
        versions=versions,
        exploration_cost=ranking.exploration_cost,
        listed=ranking.listed,
        rules=policy.rules.live_json,
        rule_prices=ranking.rule_prices,
        filter=request.filter,
        rows=ranking.rows,
        covers=ranking.covers,
    )


def excluded_ids(asked: RankingRequest) -> tuple[str, ...]:
    """Return the known sales that the caller excluded, and those that earlier pages showed."""
    request, served = asked.request, asked.served
    exclude = _known(request.choice.exclude, served)
    if served is None or not request.choice.seen:
        return exclude
    eligible = served.eligible_sales.at(request.market, asked.state.now_us)
    return tuple(dict.fromkeys([*exclude, *request.choice.seen_ids(eligible)]))


def _candidates(asked: RankingRequest) -> tuple[str, ...]:
    return _known(asked.request.choice.sale_ids or (), asked.served)


def _known(sale_ids: Sequence[str], served: CatalogueVersion | None) -> tuple[str, ...]:
    """Return the ids that the catalogue knows, in their order, each once."""
    if served is None or not sale_ids:
        return ()
    row_for = served.catalogue.row_for
    return tuple(each for each in dict.fromkeys(sale_ids) if row_for(each) is not None)
