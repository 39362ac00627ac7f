"""Contributions sum, groups hold every feature once, and sentences say what is true."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.event import EventType, key
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query
from models.ranker.explanation import (
    AS_LIKELY,
    LESS_LIKELY,
    MORE_LIKELY,
    Explanation,
    explain,
    feature_groups,
    value_orders,
)
from models.ranker.ranker import Calibration, LightGbmRanker
from models.ranker.two_stage import UNCALIBRATED, TwoStageRanker, product_log_odds
from models.recommenders.collaborative import Collaborative
from models.recommenders.covisitation import Covisitation
from models.recommenders.item_similarity import ItemSimilarity
from models.recommenders.segment_popularity import (
    CustomerActivity,
    GroupActivity,
    SaleLift,
    SegmentPopularity,
)
from tests.builders import (
    NOW_US,
    POPULARITY,
    SCHEMA,
    TOPICS,
    catalogue,
    picture,
    query,
    ranker,
    sale,
)
from tests.unit.models.recommenders.test_content_preference import PLACES

BEACHES = {f"b{index}": picture(0.1, 0.9, embedding={0: 1.0}) for index in range(4)}
SLOPES = {"ski": picture(0.9, 0.1, embedding={1: 1.0})}
SHOP = catalogue(
    *(sale(sale_id, price=60.0, original_price=100.0) for sale_id in (*BEACHES, *SLOPES)),
    pictures=BEACHES | SLOPES,
)
OPENING, BUYING = (replace(ranker(SCHEMA, seed=seed), calibration=UNCALIBRATED) for seed in (1, 2))
N_FEATURES = len(SCHEMA.names)
UNNAMED = f"No particular reason: it is {MORE_LIKELY}."

NOBODY = GroupActivity((), np.empty(0), np.empty(0))
NO_LIFT = SaleLift((), np.empty(0, dtype=np.uint64), np.empty((0, 0)))
AUDIENCE = FeatureSchema(
    (
        POPULARITY,
        SegmentPopularity(
            POPULARITY,
            markets=SaleLift(("fr", "de"), SHOP.keys, np.full((len(SHOP), 2), [2.0, 0.5])),
            devices=SaleLift(("phone",), SHOP.keys, np.full((len(SHOP), 1), 2.0)),
            segments=NO_LIFT,
            market_activity=NOBODY,
            device_activity=NOBODY,
            customer_activity=CustomerActivity(0.0, 1.0, 0.0, 1.0),
        ),
    )
)

SAME_SALES = "Opened by customers who opened the same sales."
LEARNED = FeatureSchema(
    (
        POPULARITY,
        Collaborative(
            projection=PLACES,
            keys=np.array([key("b0")], dtype=np.uint64),
            residuals=np.array([[3.0]]),
            gramian=np.array([[2.0]]),
            confidence=4.0,
        ),
        Covisitation(
            ItemSimilarity(
                np.array([key("b0")], dtype=np.uint64),
                np.array([[key("b1")]], dtype=np.uint64),
                np.array([[0.5]]),
            )
        ),
    )
)
"""Customers had opened `b0` before the fit, and with it `b1`."""


def told(
    asked: Query,
    schema: FeatureSchema = SCHEMA,
    *,
    topics: Topics = TOPICS,
    **log_odds: float,
) -> Explanation:
    """The explanation of the only candidate of a question, with contributions by feature."""
    contributions = np.zeros((1, len(schema.names) + 1))
    for name, value in log_odds.items():
        contributions[0, schema.names.index(name)] = value
    (explanation,) = explain(
        asked,
        contributions,
        matrix=schema.assemble(asked),
        probabilities=np.array([0.5]),
        schema=schema,
        topics=topics,
    )
    return explanation


def matrix(n: int) -> NDArray[np.float32]:
    values = np.random.default_rng(7).normal(size=(n, N_FEATURES)).astype(np.float32) * 3
    values[::3, ::4] = np.nan
    return values


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(OPENING, id="one step"),
        pytest.param(replace(OPENING, calibration=Calibration(0.7, 2.0)), id="calibrated"),
        pytest.param(TwoStageRanker(OPENING, BUYING, UNCALIBRATED), id="two steps"),
        pytest.param(TwoStageRanker(OPENING, BUYING, Calibration(1.3, -4.0)), id="two, calibrated"),
    ],
)
def test_contributions_sum_to_the_log_odds(model: LightGbmRanker | TwoStageRanker) -> None:
    values = matrix(60)

    sums = model.contributions(values).sum(axis=1)

    probabilities = model.probabilities(values)
    np.testing.assert_allclose(sums, np.log(probabilities / (1 - probabilities)), atol=1e-9)


def test_the_base_is_the_same_for_every_row_and_two_steps_without_influence_have_no_other() -> None:
    model = TwoStageRanker(OPENING, BUYING, Calibration(1.3, -4.0))

    bases = model.contributions(matrix(20))[:, -1]

    assert np.ptp(bases) < 1e-12


def test_log_odds_of_a_product_by_hand() -> None:
    """Even odds twice make a quarter, one to three; 4:1 and 1:4 make 4/25, 4 to 21."""
    log_odds = product_log_odds(np.log([[1.0, 4.0], [1.0, 0.25]]))

    assert np.exp(log_odds).tolist() == pytest.approx([1 / 3, 4 / 21])


def test_no_rows_have_no_contributions() -> None:
    model = TwoStageRanker(OPENING, BUYING, UNCALIBRATED)

    assert model.contributions(matrix(0)).shape == (0, N_FEATURES + 1)


def test_every_feature_is_in_the_group_of_its_maker() -> None:
    groups = dict(zip(SCHEMA.names, feature_groups(SCHEMA), strict=True))

    assert groups["popularity_trend"] == "popularity"
    assert groups["images"] == "images"
    assert groups["position"] == "position"
    assert groups["list_rank"] == "list"
    assert groups["last_list_in"] == groups["shown_position"] == "last_list"
    assert groups["same_sale_carts"] == "same_sale"
    assert groups["context_weekday"] == "context"


def test_lists_stand_among_the_groups_of_those_who_have_one_only() -> None:
    """That there is none is said of the customer, and of the request."""
    new = query(SHOP, candidates=["ski"])
    rows = new.rows
    given = replace(new, caller_list=CallerCandidates.from_rows(SHOP, rows))
    seen = ((EventType.IMPRESSION, "ski", 60.0), (EventType.CLICK, "ski", 50.0))

    found = told(new, last_list_in=0.3, list_rank=0.2).groups
    assert found.keys().isdisjoint({"list", "last_list"})
    assert (found["customer"], found["context"]) == (0.3, 0.2)
    assert told(given, list_rank=0.2).groups["list"] == 0.2
    assert told(query(SHOP, *seen, candidates=["ski"]), last_list_in=0.3).groups["last_list"] == 0.3


def test_few_looks_are_not_said_to_be_popularity() -> None:
    asked = query(SHOP, candidates=["ski"])

    assert told(asked, popularity_looks=0.5).sentence == UNNAMED
    assert told(asked, popularity_hour=0.5).sentence == "Popular now."


def test_groups_are_sums_of_their_features_the_largest_first() -> None:
    explanation = told(
        query(SHOP, candidates=["ski"]), popularity=0.5, popularity_trend=-0.1, content=0.6
    )

    assert list(explanation.groups)[:2] == ["content", "popularity"]
    assert explanation.groups["popularity"] == pytest.approx(0.4)
    assert sum(explanation.groups.values()) + explanation.base == pytest.approx(
        explanation.log_odds
    )


def test_a_sentence_counts_the_sales_of_the_topic_that_he_opened_this_week() -> None:
    """Two other beaches this week, one twice; one more nine days ago; and a ski sale."""
    day_s = 86_400.0
    asked = query(
        SHOP,
        (EventType.VIEW, "b1", 60.0),
        (EventType.CLICK, "b1", 50.0),
        (EventType.VIEW, "b2", 6 * day_s),
        (EventType.VIEW, "b3", 9 * day_s),
        (EventType.VIEW, "ski", 70.0),
        candidates=["b0"],
    )

    explanation = told(asked, content_topics=0.9, popularity=0.3, customer_views=2.0)

    expected = "Like the 2 sales of 'beach' this customer opened this week; popular now."
    assert explanation.sentence == expected


def test_another_sale_of_the_topic_is_said_to_be_another_where_the_sale_itself_was_opened() -> None:
    seen = ((EventType.VIEW, "b0", 60.0), (EventType.VIEW, "b1", 50.0))

    sentence = told(query(SHOP, *seen, candidates=["b0"]), content_topics=0.9).sentence

    assert sentence == "Like the other sale of 'beach' this customer opened this week."


@pytest.mark.parametrize(
    ("feature", "opened", "sale_id", "sentence"),
    [
        ("collaborative", "b1", "b0", SAME_SALES),
        # Predicted from its content, as no one had opened it: only what is known is said.
        ("collaborative", "b1", "b2", "Like the sale of 'beach' this customer opened this week."),
        ("collaborative", "b1", "ski", UNNAMED),
        ("covisitation", "b1", "b0", SAME_SALES),
        ("covisitation", "b2", "b0", UNNAMED),
        ("covisitation", "b1", "b2", UNNAMED),
    ],
)
def test_others_opened_a_sale_only_where_that_is_known(
    feature: str, opened: str, sale_id: str, sentence: str
) -> None:
    asked = query(SHOP, (EventType.CLICK, opened, 60.0), candidates=[sale_id])

    assert told(asked, LEARNED, topics=TOPICS, **{feature: 0.5}).sentence == sentence


def test_a_topic_of_labels_that_avoid_each_other_is_not_named() -> None:
    asked = query(SHOP, (EventType.VIEW, "b1", 60.0), candidates=["b0"])
    topics = replace(TOPICS, coherence=(0.5, -0.5))

    explanation = told(asked, topics=topics, content_topics=0.9)

    assert explanation.sentence == "Similar to sales this customer opened before."


@pytest.mark.parametrize(
    ("feature", "sentence"),
    [
        ("popularity_trend", "Rising in the last hours."),
        ("images_look_alikes", "Sales with pictures like this one sell well."),
        ("sale_discount", "40% below its original price."),
        ("sale_price", "Its price."),
        ("list_rank", "Its place in the given list."),
        ("content_category", UNNAMED),  # the customer has no history
        ("same_sale_views", UNNAMED),  # never opened: a contribution without a sentence
        ("customer_views", UNNAMED),  # the same for all sales
        ("position", UNNAMED),
    ],
)
def test_without_a_history_only_what_is_true_is_said(feature: str, sentence: str) -> None:
    explanation = told(query(SHOP, candidates=["b0"]), SCHEMA, topics=TOPICS, **{feature: 0.5})

    assert explanation.sentence == sentence


def test_a_sale_that_he_opened_is_said_to_be() -> None:
    asked = query(
        SHOP, (EventType.VIEW, "b0", 5.0), (EventType.CLICK, "b0", 4.0), candidates=["b0"]
    )

    assert told(asked, same_sale_recency=0.4).sentence == "Opened twice before by this customer."


def test_what_speaks_against_a_sale_or_hardly_for_it_is_no_reason() -> None:
    explanation = told(query(SHOP, candidates=["b0"]), popularity=-1.0, sale_price=0.04)

    assert explanation.sentence == f"No particular reason: it is {LESS_LIKELY}."


def test_a_sale_as_likely_as_the_average_is_said_to_be() -> None:
    """Odds of exp(-0.09) = 0.91 times the average."""
    explanation = told(query(SHOP, candidates=["b0"]), popularity=-0.09)

    assert explanation.sentence == f"No particular reason: it is {AS_LIKELY}."


def test_reasons_do_not_hide_that_a_sale_is_less_likely_than_the_average() -> None:
    explanation = told(query(SHOP, candidates=["b0"]), sale_price=0.5, popularity=-0.7)

    assert explanation.sentence == f"Its price; all in all {LESS_LIKELY}."


def test_an_unknown_price_is_no_reason() -> None:
    shop = catalogue(sale("b0"))

    assert told(query(shop, candidates=["b0"]), sale_price=0.5).sentence == UNNAMED


@pytest.mark.parametrize(
    ("market", "device", "contribution", "sentence"),
    [
        ("fr", None, 0.5, "More popular in this market than elsewhere."),
        ("de", None, 0.5, UNNAMED),  # half as popular there
        ("xx", None, 0.5, UNNAMED),  # a market that training did not see
        (None, None, 0.5, UNNAMED),
        ("fr", None, 0.04, f"No particular reason: it is {AS_LIKELY}."),
        (None, "phone", 0.5, UNNAMED),  # popular on phones, but the market is what adds
    ],
)
def test_a_market_is_named_where_it_is_known_and_speaks_for_the_sale(
    market: str | None, device: str | None, contribution: float, sentence: str
) -> None:
    asked = replace(
        query(SHOP, candidates=["b0"]), context=Context(NOW_US, market=market, device=device)
    )

    assert told(asked, AUDIENCE, audience_market=contribution).sentence == sentence


def test_a_popularity_of_the_audience_without_a_lift_is_not_said_to_be_of_a_market() -> None:
    explanation = told(query(SHOP, candidates=["b0"]), AUDIENCE, audience=0.06, popularity=-0.53)

    assert explanation.sentence == f"No particular reason: it is {LESS_LIKELY}."


def test_an_order_by_value_follows_the_reasons() -> None:
    """A purchase of 60 times 1.5; and one of unknown price."""
    orders = value_orders(np.array([90.0, np.nan]), "price × size")

    assert orders == (
        "Ordered by its probability × 90.00 (price × size).",
        "Ordered after the sales of known price × size.",
    )
