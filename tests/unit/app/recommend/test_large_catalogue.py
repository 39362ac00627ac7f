"""Answers from a large catalogue: what is ranked, shown and recorded."""

from dataclasses import replace

import numpy as np
import pytest

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.observability import Metrics
from app.recommend.model_query import query_of, shortlist_of
from app.recommend.ranking import SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest, Rival
from app.stores.customer_state import CustomerState
from models.catalogue.event_counts import SaleCounts
from models.domain.event import KIND, EventType
from models.domain.profile import Profile
from models.scoring.first_stage import RANKED_IN_FULL
from models.slate.slate_policy import SlatePolicy
from tests.builders import NOW_US, window
from tests.shop import sale, scorer

N_SALES = RANKED_IN_FULL + 200
CLICKED = ["s39", "s79", "s119", "s159", "s199", "s239"]
LIMIT = 6


@pytest.fixture(scope="module")
def served() -> CatalogueVersion:
    """Sales of forty categories; six of c39 were clicked, each once less than the one before."""
    sales = [
        sale(f"s{number}", category=f"c{number % 40}", now_us=NOW_US) for number in range(N_SALES)
    ]
    model = scorer(*sales)
    catalogue = model.seed_catalogue()
    decayed = np.zeros_like(catalogue.counts.decayed)
    for clicks, name in zip(range(8, 2, -1), CLICKED, strict=True):
        decayed[:, catalogue.row_for(name), KIND[EventType.CLICK]] = clicks
    counted = catalogue.with_counts(SaleCounts(NOW_US, decayed[0], decayed))
    return CatalogueVersion.from_content(model.snapshot, counted, source=Source.STORE, scorer=model)


@pytest.fixture(scope="module")
def asked(served: CatalogueVersion) -> RankingRequest:
    """A customer who looked at two sales of c3."""
    seen = window((EventType.VIEW, "s3", 60.0), (EventType.VIEW, "s43", 30.0))
    return RankingRequest(
        RecommendationRequest("c1", limit=LIMIT),
        CustomerState(NOW_US, seen, Profile.empty()),
        served,
        recommendation_id="r1",
    )


def test_an_answer_ranks_the_shortlist_and_shows_what_fits(asked: RankingRequest) -> None:
    assert asked.served is not None
    assert asked.served.scorer is not None
    every, model = query_of(asked, asked.served), asked.served.scorer
    short = shortlist_of(asked, every, scorer=model, policy=asked.policy)

    found = SlateRanker(Metrics()).rank(asked)

    assert len(short.rows) < N_SALES / 4
    assert found.feature_hash == model.score(short).feature_hash
    assert [one.purchase_probability for one in found.slate] == [
        pytest.approx(model.probabilities(every).max())
    ] * LIMIT
    assert {int(name[1:]) % 40 for name in found.sale_ids} == {3}


def test_an_answer_is_repeated_bit_for_bit(asked: RankingRequest) -> None:
    first, again = (SlateRanker(Metrics()).rank(asked) for _ in range(2))

    assert first == again


def test_both_policies_of_an_interleaved_slate_show_their_best(asked: RankingRequest) -> None:
    """The second orders all by popularity; the first has ranked none of its sales by itself."""
    assert asked.served is not None
    by_clicks = SlatePolicy(order_by="popularity")
    rival = Rival("orders", "control", "rival", asked.served, by_clicks)

    alone = SlateRanker(Metrics()).rank(asked)
    found = SlateRanker(Metrics()).rank(replace(asked, rival=rival))

    assert found.interleaving is not None
    of_rival = [
        item.sale_id
        for item, team in zip(found.slate, found.interleaving.teams, strict=True)
        if team == "rival"
    ]
    assert of_rival == CLICKED[: LIMIT // 2]
    assert found.feature_hash == alone.feature_hash
