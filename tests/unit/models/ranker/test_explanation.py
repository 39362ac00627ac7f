"""Contributions sum, groups hold every feature once, and sentences say what is true."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.event import EventType
from models.query.query import Query
from models.ranker.explanation import NO_REASON, Explanation, explain, feature_groups
from models.ranker.ranker import Calibration, LightGbmRanker
from models.ranker.two_stage import UNCALIBRATED, TwoStageRanker, product_log_odds
from tests.builders import SCHEMA, TOPICS, catalogue, picture, query, ranker, sale

BEACHES = {f"b{index}": picture(0.1, 0.9, embedding={0: 1.0}) for index in range(4)}
SLOPES = {"ski": picture(0.9, 0.1, embedding={1: 1.0})}
SHOP = catalogue(
    *(sale(sale_id, price=60.0, original_price=100.0) for sale_id in (*BEACHES, *SLOPES)),
    pictures=BEACHES | SLOPES,
)
OPENING, BUYING = (replace(ranker(SCHEMA, seed=seed), calibration=UNCALIBRATED) for seed in (1, 2))
N_FEATURES = len(SCHEMA.names)


def told(asked: Query, **log_odds: float) -> Explanation:
    """The explanation of the only candidate of a question, with contributions by feature."""
    contributions = np.zeros((1, N_FEATURES + 1))
    for name, value in log_odds.items():
        contributions[0, SCHEMA.names.index(name)] = value
    (explanation,) = explain(
        asked,
        contributions,
        matrix=SCHEMA.assemble(asked),
        probabilities=np.array([0.5]),
        schema=SCHEMA,
        topics=TOPICS,
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
    assert groups["same_sale_carts"] == "same_sale"
    assert groups["context_weekday"] == "context"


def test_few_looks_are_not_said_to_be_popularity() -> None:
    asked = query(SHOP, candidates=["ski"])

    assert told(asked, popularity_looks=0.5).sentence == NO_REASON
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


@pytest.mark.parametrize(
    ("feature", "sentence"),
    [
        ("popularity_trend", "Rising in the last hours."),
        ("images_look_alikes", "Sales with pictures like this one sell well."),
        ("sale_discount", "40% below its original price."),
        ("sale_price", "Its price."),
        ("list_rank", "Its place in the given list."),
        ("content_category", NO_REASON),  # the customer has no history
        ("same_sale_views", NO_REASON),  # never opened: a contribution without a sentence
        ("customer_views", NO_REASON),  # the same for all sales
        ("position", NO_REASON),
    ],
)
def test_without_a_history_only_what_is_true_is_said(feature: str, sentence: str) -> None:
    explanation = told(query(SHOP, candidates=["b0"]), **{feature: 0.5})

    assert explanation.sentence == sentence


def test_a_sale_that_he_opened_is_said_to_be() -> None:
    asked = query(
        SHOP, (EventType.VIEW, "b0", 5.0), (EventType.CLICK, "b0", 4.0), candidates=["b0"]
    )

    assert told(asked, same_sale_recency=0.4).sentence == "Opened twice before by this customer."


def test_what_speaks_against_a_sale_or_hardly_for_it_is_no_reason() -> None:
    explanation = told(query(SHOP, candidates=["b0"]), popularity=-1.0, sale_price=0.04)

    assert explanation.sentence == NO_REASON
