"""Interleaved slates: two policies over one customer, and one where the second cannot rank."""

from dataclasses import replace
from itertools import count
from math import inf

import numpy as np
import pytest

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.observability import Metrics
from app.recommend.degradation_level import (
    CAUSES,
    RIVAL_NOT_RANKED,
    RIVAL_TOO_SLOW,
    Cause,
    DegradationLevel,
)
from app.recommend.latency_estimate import REMEMBERED
from app.recommend.ranking import Ranking, SlateRanker, rank_with
from app.recommend.request import RankingRequest, RecommendationRequest, Rival
from app.stores.customer_state import CustomerState
from models.catalogue.event_counts import SaleCounts
from models.domain.customer import Window
from models.domain.event import KIND, EventType
from models.domain.profile import Profile
from models.experiments.exposure_record import InterleavedRecord
from models.scoring.scorer import Scorer
from models.slate.exploration import seed_from, uniforms
from models.slate.slate_policy import SlatePolicy
from tests.shop import BrokenRanker, sale, scorer

NOW_US = 1_800_000_000_000_000
LIMIT = 5
NAMES = [f"s{number}" for number in range(8)]
CLICKS = [3, 0, 7, 2, 9, 1, 4, 5]


def version(*more: str, ranker: BrokenRanker | None = None) -> CatalogueVersion:
    """Sales with clicks, and more sales in front of them that were clicked most."""
    names = [*more, *NAMES]
    model: Scorer = scorer(*(sale(name, now_us=NOW_US) for name in names), ranker=ranker)
    catalogue = model.seed_catalogue()
    decayed = np.zeros_like(catalogue.counts.decayed)
    for name, clicks in zip(names, [100] * len(more) + CLICKS, strict=True):
        decayed[:, catalogue.row_for(name), KIND[EventType.CLICK]] = clicks
    return CatalogueVersion.from_content(
        model.snapshot,
        catalogue.with_counts(SaleCounts(NOW_US, decayed[0], decayed)),
        source=Source.STORE,
        scorer=model,
    )


def asked(
    rival: CatalogueVersion,
    *,
    order_by: str = "popularity",
    cause: Cause | None = None,
    answer: str = "r1",
) -> RankingRequest:
    """The order of the meta-model beside another one, for a customer without events."""
    policy = SlatePolicy(order_by=order_by)
    return RankingRequest(
        RecommendationRequest("c1", limit=LIMIT),
        CustomerState(NOW_US, Window.empty(), Profile.empty()),
        version(),
        cause=cause,
        recommendation_id=answer,
        rival=Rival("orders", "control", "rival", rival, policy),
    )


def ranked(request: RankingRequest, *, within_s: float = inf) -> Ranking:
    return SlateRanker(Metrics()).rank(request, within_s=within_s)


def alone(request: RankingRequest) -> Ranking:
    return ranked(replace(request, rival=None))


@pytest.mark.parametrize("answer", [f"r{number}" for number in range(8)])
def test_places_are_those_of_both_rankings_in_the_order_of_the_answers_coins(answer: str) -> None:
    """Worked out anew by sale ids. The rival's catalogue has a sale that the answer's lacks."""
    served = version("a0")
    request = asked(served, answer=answer)
    own = list(alone(replace(request, request=RecommendationRequest(limit=8))).sale_ids)
    by_popularity = SlatePolicy(order_by="popularity")
    by_clicks = [name for _, name in sorted(zip(CLICKS, NAMES, strict=True), reverse=True)]

    found = ranked(request)

    coins = iter(uniforms(seed_from(answer), LIMIT).tolist())
    expected: list[tuple[str, str | None, float]] = []
    while len(expected) < LIMIT:
        placed = {sale_id for sale_id, _, _ in expected}
        one, two = (next(s for s in order if s not in placed) for order in (own, by_clicks))
        if one == two:
            expected.append((one, None, 1.0))
        else:
            pair = [(one, "control"), (two, "rival")]
            pair = pair if next(coins) < 0.5 else pair[::-1]
            expected += [(*pair[0], 0.5), (*pair[1], 1.0)]
    expected = expected[:LIMIT]
    assert [(one.sale_id, one.propensity) for one in found.slate] == [
        (sale_id, propensity) for sale_id, _, propensity in expected
    ]
    assert found.interleaving == InterleavedRecord(
        *("orders", "control", "rival", tuple(team for _, team, _ in expected)),
        snapshot_id=served.snapshot_id,
        bundle_id="by-hand",
        order_by="popularity",
        diversity=0.0,
        feature_hash=rank_with(replace(request, policy=by_popularity), served)[1].feature_hash,
    )
    assert [one.rank for one in found.slate] == [1, 2, 3, 4, 5]
    assert found.cause is None


def test_probabilities_and_features_are_those_of_the_first_policy() -> None:
    request = asked(version())
    own = alone(replace(request, request=RecommendationRequest(limit=8)))
    chance = {one.sale_id: one.purchase_probability for one in own.slate}

    found = ranked(request)

    assert found.interleaving is not None
    assert [one.purchase_probability for one in found.slate] == [
        chance[one.sale_id] for one in found.slate
    ]
    assert found.feature_hash == own.feature_hash


def test_equal_rankings_belong_to_no_team() -> None:
    request = asked(version(), order_by="meta")

    found = ranked(request)

    assert found.interleaving is not None
    assert found.interleaving.teams == (None,) * LIMIT
    assert found.slate == alone(request).slate


@pytest.mark.parametrize(
    ("rival", "order_by"), [(version(ranker=BrokenRanker()), "meta"), (version(), "taste")]
)
def test_where_the_second_cannot_rank_the_answer_is_the_firsts_and_counts_for_neither(
    rival: CatalogueVersion, order_by: str
) -> None:
    request = asked(rival, order_by=order_by)

    found = ranked(request)

    assert (found.interleaving, found.cause) == (None, RIVAL_NOT_RANKED)
    assert found.slate == alone(request).slate


def test_a_second_policy_for_which_no_time_is_left_is_not_asked() -> None:
    """Each reading of the clock is a second later: the first policy takes three."""
    request = asked(version())
    ranker = SlateRanker(Metrics(), clock=map(float, count()).__next__)

    found = [ranker.rank(request, within_s=3.5).cause for _ in range(REMEMBERED + 1)]

    assert found[0] is None
    assert found[-1] is RIVAL_TOO_SLOW


def test_a_second_policy_is_not_asked_past_the_deadline_however_little_is_known_of_it() -> None:
    """Each reading of the clock is a second later: the first policy takes all three."""
    request = asked(version())
    ranker = SlateRanker(Metrics(), clock=map(float, count()).__next__)

    found = ranker.rank(request, within_s=3.0)

    assert (found.cause, found.interleaving) == (RIVAL_TOO_SLOW, None)
    assert found.slate == alone(request).slate


def test_what_the_second_policy_takes_says_nothing_of_the_first_of_the_same_bundle() -> None:
    """The first takes two seconds, the second none."""
    readings = [0.0, 0.0, 2.0, 2.0, 2.0, 2.0] * REMEMBERED
    ranker = SlateRanker(Metrics(), clock=iter(readings).__next__)

    for _ in range(REMEMBERED):
        assert ranker.rank(asked(version()), within_s=10.0).cause is None

    n_sales = len(NAMES)
    assert not ranker.latency.allows("by-hand", n_sales, within_s=1.0)
    assert ranker.rivals_latency.allows("by-hand", n_sales, within_s=1.0)


@pytest.mark.parametrize("level", [DegradationLevel.SNAPSHOT, DegradationLevel.ANONYMOUS])
def test_a_stale_catalogue_is_ordered_by_popularity_alone(level: DegradationLevel) -> None:
    """But customers whose events were not read are unknown to both policies alike."""
    found = ranked(asked(version(), cause=CAUSES[level]))

    assert (found.interleaving is None) == (level is DegradationLevel.SNAPSHOT)
    assert found.degraded is level


def test_a_first_policy_that_fails_is_answered_by_popularity_for_neither() -> None:
    request = replace(asked(version()), served=version(ranker=BrokenRanker()))

    found = ranked(request)

    assert (found.interleaving, found.degraded) == (None, DegradationLevel.POPULARITY)
