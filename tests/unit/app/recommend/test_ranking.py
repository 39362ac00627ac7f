from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import numpy as np
import pytest

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.observability import Metrics
from app.recommend.degradation_level import CAUSES, ORDER_MISSING, DegradationLevel
from app.recommend.latency_estimate import REMEMBERED
from app.recommend.ranking import Ranking, SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest
from app.stores.customer_state import CustomerState
from models.catalogue.event_counts import DAYS, WEEKS, SaleCounts
from models.domain.customer import Window
from models.domain.customer_list import CustomerList
from models.domain.event import KIND, EventType, from_us
from models.domain.profile import Profile
from models.domain.sale import Sale
from models.query.candidates import CallerChoice
from models.rules.rule import SlateRules
from models.scoring.scorer import Scorer
from models.slate.slate_policy import PlackettLuce, SlatePolicy
from tests.shop import BrokenRanker, sale, scorer

NOW_US = 1_800_000_000_000_000
NOW = from_us(NOW_US)
MICROSECOND = timedelta(microseconds=1)


def shown(
    *sales: Sale,
    by: Scorer | None = None,
    level: DegradationLevel | None = None,
    market: str | None = None,
    exclude: tuple[str, ...] = (),
) -> tuple[list[str], DegradationLevel | None]:
    model = scorer(*sales)
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=by
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    request = RecommendationRequest("c1", market=market, choice=CallerChoice(exclude=exclude))
    ranker = SlateRanker(Metrics())
    ranking = ranker.rank(
        RankingRequest(request, state, served, cause=CAUSES[level] if level else None)
    )
    return sorted(ranking.sale_ids), ranking.degraded


@pytest.mark.parametrize("by", [None, scorer(), scorer(ranker=BrokenRanker())])
@pytest.mark.parametrize("level", [None, DegradationLevel.ANONYMOUS, DegradationLevel.SNAPSHOT])
def test_no_level_shows_what_may_not_be_shown(
    by: Scorer | None, level: DegradationLevel | None
) -> None:
    sales = [
        sale("open", now_us=NOW_US),
        sale("opens now", now_us=NOW_US, opens_at=NOW),
        sale("closes next", now_us=NOW_US, closes_at=NOW + MICROSECOND),
        sale("closes now", now_us=NOW_US, closes_at=NOW),
        sale("opens next", now_us=NOW_US, opens_at=NOW + MICROSECOND),
        sale("sold out", now_us=NOW_US, sold_out_at=NOW),
        sale("no stock", now_us=NOW_US, stock=0),
        sale("elsewhere", now_us=NOW_US, markets=("de",)),
        sale("excluded", now_us=NOW_US),
    ]

    sale_ids, _ = shown(*sales, by=by, level=level, market="fr", exclude=("excluded",))

    assert sale_ids == ["closes next", "open", "opens now"]


@pytest.mark.parametrize("by", [None, scorer(), scorer(ranker=BrokenRanker())])
@pytest.mark.parametrize("level", [None, *(one for one in DegradationLevel if one in CAUSES)])
def test_rules_hold_at_every_level(by: Scorer | None, level: DegradationLevel | None) -> None:
    """One of three sales is excluded, and the last of the others pinned."""
    sales = [sale(name, now_us=NOW_US) for name in ("a", "b", "c")]
    model = scorer(*sales)
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=by
    )
    _, kept, pinned = [one.sale_id for one in model.snapshot.sales]
    rules = SlateRules.model_validate(
        [
            {
                "name": "only",
                "where": f'sale_id in ["{kept}", "{pinned}"]',
                "action": {"kind": "only"},
            },
            {
                "name": "pin",
                "where": f'sale_id == "{pinned}"',
                "action": {"kind": "pin", "rank": 1},
            },
        ]
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    asked = RankingRequest(
        RecommendationRequest("c1"),
        state,
        served,
        policy=SlatePolicy(rules=rules),
        cause=CAUSES[level] if level else None,
    )

    ranking = SlateRanker(Metrics()).rank(asked)

    assert ranking.sale_ids == (pinned, kept)
    assert ranking.slate[0].rules == ("pin",)


@pytest.mark.parametrize(
    ("by", "missing", "named"),
    [
        (scorer(), None, None),
        (scorer(), DegradationLevel.ANONYMOUS, DegradationLevel.ANONYMOUS),
        (scorer(), DegradationLevel.SNAPSHOT, DegradationLevel.SNAPSHOT),
        (None, None, DegradationLevel.POPULARITY),
        (None, DegradationLevel.ANONYMOUS, DegradationLevel.POPULARITY),
        (None, DegradationLevel.SNAPSHOT, DegradationLevel.SNAPSHOT),
        (scorer(ranker=BrokenRanker()), None, DegradationLevel.POPULARITY),
    ],
)
def test_the_lowest_level_is_named(
    by: Scorer | None, missing: DegradationLevel | None, named: DegradationLevel | None
) -> None:
    assert shown(sale("s1", now_us=NOW_US), by=by, level=missing) == (["s1"], named)


@pytest.mark.parametrize(
    ("level", "cause"),
    [
        (None, "nothing_open"),
        (DegradationLevel.ANONYMOUS, "nothing_open"),
        (DegradationLevel.REMEMBERED, "sales_lost"),
    ],
)
def test_an_empty_answer_of_a_store_that_lost_sales_names_the_loss(
    level: DegradationLevel | None, cause: str
) -> None:
    model = scorer(sale("closed", now_us=NOW_US, closes_at=NOW))
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    asked = RankingRequest(
        RecommendationRequest("c1"), state, served, cause=CAUSES[level] if level else None
    )

    ranking = SlateRanker(Metrics()).rank(asked)

    assert (ranking.sale_ids, ranking.degraded) == ((), DegradationLevel.EMPTY)
    assert ranking.cause is not None
    assert ranking.cause.name == cause


def test_without_a_model_sales_are_ordered_by_events_of_weeks() -> None:
    """As by `popularity` of a shop without impressions: a sale of two weeks ago with 9 clicks."""
    model = scorer(*(sale(name, now_us=NOW_US) for name in ("new", "old", "unseen")))
    catalogue = model.seed_catalogue()
    decayed = np.zeros_like(catalogue.counts.decayed)
    for name, days, weeks in (("new", 2.0, 3.0), ("old", 0.1, 9.0)):
        row = catalogue.row_for(name)
        decayed[[DAYS, WEEKS], row, KIND[EventType.CLICK]] = [days, weeks]
    counted = catalogue.with_counts(SaleCounts(NOW_US, decayed[WEEKS], decayed))
    served = CatalogueVersion.from_content(
        model.snapshot, counted, source=Source.STORE, scorer=None
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())

    ranking = SlateRanker(Metrics()).rank(
        RankingRequest(RecommendationRequest("c1"), state, served)
    )

    assert ranking.sale_ids == ("old", "new", "unseen")


def listed_ranking(
    *sales: Sale,
    listed: Sequence[str],
    by: Scorer | None = None,
    request: RecommendationRequest | None = None,
    level: DegradationLevel | None = None,
) -> Ranking:
    model = scorer(*sales)
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=by
    )
    found = CustomerList.from_sales(NOW_US, listed)
    state = CustomerState(NOW_US, Window.empty(), Profile.empty(), found)
    asked = request or RecommendationRequest("c1", market="fr")
    return SlateRanker(Metrics()).rank(
        RankingRequest(asked, state, served, cause=CAUSES[level] if level else None)
    )


@pytest.mark.parametrize("by", [None, scorer(ranker=BrokenRanker())])
def test_without_a_model_a_customer_gets_their_list_of_what_is_open(by: Scorer | None) -> None:
    """Then the other sales, by popularity."""
    sales = [
        *(sale(name, now_us=NOW_US) for name in ("a", "b", "c", "other")),
        sale("closed", now_us=NOW_US, closes_at=NOW),
        sale("sold out", now_us=NOW_US, stock=0),
        sale("elsewhere", now_us=NOW_US, markets=("de",)),
    ]
    listed = ("sold out", "c", "elsewhere", "a", "closed", "unknown", "b")

    ranking = listed_ranking(*sales, listed=listed, by=by)

    assert ranking.sale_ids == ("c", "a", "b", "other")
    assert ranking.listed == ("c", "a", "b")
    assert ranking.degraded is DegradationLevel.LIST
    assert ranking.cause is not None
    assert ranking.cause.name in {"no_model", "model_failed"}


def test_a_list_of_which_nothing_is_open_leaves_popularity() -> None:
    ranking = listed_ranking(sale("a", now_us=NOW_US), listed=["gone"])

    assert (ranking.sale_ids, ranking.listed) == (("a",), ())
    assert ranking.degraded is DegradationLevel.POPULARITY


def test_the_callers_choice_restricts_the_list() -> None:
    sales = [sale(name, now_us=NOW_US) for name in ("a", "b", "c")]
    wanted = CallerChoice(exclude=("c",), sale_ids=("a", "b", "c"))
    request = RecommendationRequest("c1", limit=1, choice=wanted)

    ranking = listed_ranking(*sales, listed=["c", "b", "a"], request=request)

    assert (ranking.sale_ids, ranking.listed) == (("b",), ("b", "a"))


def test_a_callers_order_goes_before_the_list() -> None:
    sales = [sale(name, now_us=NOW_US) for name in ("a", "b")]
    ordered = CallerChoice(sale_ids=("a", "b"), is_ordered=True)
    request = RecommendationRequest("c1", choice=ordered)

    ranking = listed_ranking(*sales, listed=["b", "a"], request=request)

    assert (ranking.sale_ids, ranking.listed) == (("a", "b"), ())
    assert ranking.degraded is DegradationLevel.POPULARITY


@pytest.mark.parametrize(
    ("level", "expected"),
    [(DegradationLevel.REMEMBERED, ("b", "a")), (DegradationLevel.SNAPSHOT, ("a", "b"))],
)
def test_levels_of_the_catalogue_name_an_answer_from_a_list_too(
    level: DegradationLevel, expected: tuple[str, ...]
) -> None:
    """A stale catalogue is ordered by popularity, here by the order of the catalogue."""
    sales = [sale(name, now_us=NOW_US) for name in ("a", "b")]
    in_order = tuple(one.sale_id for one in scorer(*sales).snapshot.sales)
    assert in_order == ("a", "b")

    ranking = listed_ranking(*sales, listed=["b", "a"], level=level)

    assert (ranking.sale_ids, ranking.degraded) == (expected, level)


def test_a_model_that_ranks_takes_no_notice_of_the_list() -> None:
    sales = [sale(name, now_us=NOW_US) for name in ("a", "b")]

    ranking = listed_ranking(*sales, listed=["b", "a"], by=scorer(*sales))

    assert (ranking.degraded, ranking.listed) == (None, ())


def test_an_order_that_the_bundle_lacks_is_the_fault_of_the_plan_and_not_of_the_model() -> None:
    model = scorer(sale("s1", now_us=NOW_US))
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    question = RankingRequest(
        RecommendationRequest("c1"), state, served, policy=SlatePolicy(order_by="taste")
    )
    metrics = Metrics()

    ranking = SlateRanker(metrics).rank(question)

    assert (ranking.sale_ids, ranking.cause) == (("s1",), ORDER_MISSING)
    assert "roll back" not in ORDER_MISSING.advice
    labels = {"error": "OrderMissing"}
    assert metrics.registry.get_sample_value("vitrine_model_errors_total", labels) == 1.0


def test_without_a_catalogue_the_answer_is_empty() -> None:
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    question = RankingRequest(RecommendationRequest("c1"), state, None)

    ranking = SlateRanker(Metrics()).rank(question)

    assert (ranking.sale_ids, ranking.degraded) == ((), DegradationLevel.EMPTY)


def test_a_stale_catalogue_with_nothing_open_is_the_last_level() -> None:
    closed = sale("closed", now_us=NOW_US, closes_at=NOW)

    assert shown(closed, by=scorer(), level=DegradationLevel.SNAPSHOT) == (
        [],
        DegradationLevel.EMPTY,
    )


def test_a_market_in_which_nothing_is_open_is_the_last_level() -> None:
    """An empty page is never an answer without a word."""
    closed = sale("closed", now_us=NOW_US, closes_at=NOW)

    assert shown(closed, by=scorer(), level=None) == ([], DegradationLevel.EMPTY)


def test_an_answer_without_sales_is_always_the_last_level() -> None:
    """Here all that is open is what the caller has already."""
    request = RecommendationRequest("c1", choice=CallerChoice(exclude=("s1",)))
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    model = scorer(sale("s1", now_us=NOW_US))
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )

    ranking = SlateRanker(Metrics()).rank(RankingRequest(request, state, served))

    assert (ranking.sale_ids, ranking.degraded) == ((), DegradationLevel.EMPTY)


def test_a_model_that_is_too_slow_for_what_is_left_gives_way_to_popularity() -> None:
    """Each reading of the clock is a second later: a ranking takes one."""
    model = scorer(sale("s1", now_us=NOW_US))
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    question = RankingRequest(RecommendationRequest(), state, served)
    ranker = SlateRanker(Metrics(), clock=map(float, count()).__next__)

    levels = [ranker.rank(question, within_s=0.5).degraded for _ in range(REMEMBERED + 1)]

    assert levels == [None] * REMEMBERED + [DegradationLevel.POPULARITY]


def features_of(*sale_ids: str, is_ordered: bool) -> str:
    shop = [sale(sale_id, now_us=NOW_US) for sale_id in ("a", "b", "c")]
    model = scorer(*shop)
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    request = RecommendationRequest(
        "c1", choice=CallerChoice(sale_ids=sale_ids, is_ordered=is_ordered)
    )
    ranker = SlateRanker(Metrics())
    return ranker.rank(RankingRequest(request, state, served)).feature_hash


def test_the_model_is_told_the_order_of_a_caller_whose_order_says_something() -> None:
    assert features_of("a", "b", is_ordered=False) == features_of("b", "a", is_ordered=False)
    assert features_of("a", "b", is_ordered=True) != features_of("a", "b", is_ordered=False)


def explored(recommendation_id: str, *, by: Scorer | None = None) -> Ranking:
    model = scorer(*(sale(f"s{number}", now_us=NOW_US) for number in range(8)))
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=by
    )
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    policy = SlatePolicy(exploration=PlackettLuce(temperature=1.0))
    question = RankingRequest(
        RecommendationRequest(limit=3), state, served, policy, recommendation_id=recommendation_id
    )
    return SlateRanker(Metrics()).rank(question)


def test_the_id_of_an_answer_decides_what_its_policy_leaves_to_chance() -> None:
    """All eight sales are equally likely: one in 8, then one in 7, then one in 6."""
    answers = [explored(f"answer {number}", by=scorer()) for number in range(5)]

    assert explored("answer 0", by=scorer()) == answers[0]
    assert len({answer.sale_ids for answer in answers}) > 1
    assert [one.propensity for one in answers[0].slate] == pytest.approx([1 / 8, 1 / 7, 1 / 6])


def test_nothing_is_left_to_chance_where_no_model_scores() -> None:
    answer = explored("answer 0")

    assert (answer.degraded, [one.propensity for one in answer.slate]) == (
        DegradationLevel.POPULARITY,
        [1.0, 1.0, 1.0],
    )
    assert answer.sale_ids == explored("answer 1").sale_ids
