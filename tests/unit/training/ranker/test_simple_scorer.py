"""A scorer that learns next to nothing."""

import numpy as np
import pytest

from models.features.schema import FeatureSchema
from models.recommenders.bestsellers import Bestsellers
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender
from training.ranker.simple_scorer import reads, simple_scorer
from training.ranker.training_rows import TrainingRows

NAN = np.nan


def schema_of(*, click_rate: float) -> FeatureSchema:
    return FeatureSchema((Popularity(click_rate, 0.1, 1.0, 1.0),))


def scores(schema: FeatureSchema, **columns: list[float]) -> list[float]:
    """Log-odds of rows beside those of the first; features that are not given are 0."""
    n = len(next(iter(columns.values())))
    matrix = np.zeros((n, len(schema.names)), dtype=np.float32)
    for name, values in columns.items():
        matrix[:, schema.names.index(name)] = values
    rows = TrainingRows(matrix, np.zeros(n), np.ones(n))
    found = simple_scorer(rows, schema=schema).log_odds(matrix)
    return (found - found[0]).tolist()


def test_purchases_count_by_their_logarithm_and_touches_once() -> None:
    """One purchase is log2(2) = 1, three are log2(4) = 2, and what was touched has one more."""
    found = scores(
        FeatureSchema(()),
        same_sale_purchases=[0, 0, 1, 3],
        same_sale_recency=[NAN, 5.0, 7.0, 9.0],
    )

    assert found == pytest.approx([0, 1, 2, 3])


def test_a_shop_whose_first_weeks_have_no_repeated_sale_knows_what_one_is_worth() -> None:
    schema = FeatureSchema(())
    column = {name: index for index, name in enumerate(schema.names)}
    young = np.zeros((3, len(schema.names)), dtype=np.float32)
    young[:, column["same_sale_recency"]] = NAN
    later = young[:2].copy()
    later[1, column["same_sale_purchases"]], later[1, column["same_sale_recency"]] = 1, 4

    rows = TrainingRows(young, np.zeros(3), np.ones(3))
    found = simple_scorer(rows, schema=schema).log_odds(later)

    assert found[1] - found[0] == pytest.approx(2)


def test_events_count_by_their_logarithm_and_rates_by_their_deviation() -> None:
    """Without impressions popularity is a number of events: log(1 + 0) to log(1 + 9).

    With them it is a rate: 0.1 and 0.3 are two deviations of 0.1 apart, by 0.3 each.
    """
    events = scores(schema_of(click_rate=0.0), popularity=[0.0, 9.0])
    rates = scores(schema_of(click_rate=0.2), popularity=[0.1, 0.3])

    assert events == pytest.approx([0, np.log(10)])
    assert rates == pytest.approx([0, 2 * 0.3], rel=1e-5)


BESTSELLERS = Bestsellers(np.zeros(0, np.uint64), np.zeros(0), np.zeros(0), fitted_us=0)


def test_where_sales_are_open_for_long_all_their_events_count() -> None:
    of_counts = FeatureSchema((Popularity(0.0, 0.1, 1.0, 1.0), BESTSELLERS))
    of_rates = FeatureSchema((Popularity(0.2, 0.1, 1.0, 1.0), BESTSELLERS))
    columns = {"popularity": [0.1, 0.3, 0.1], "bestsellers": [0.0, 0.0, 9.0]}

    assert scores(of_counts, **columns) == pytest.approx([0, 0, np.log(10)])
    assert scores(of_rates, **columns)[2] == 0


@pytest.mark.parametrize(
    ("recommenders", "popular"),
    [
        ((Popularity(0.0, 0.1, 1.0, 1.0),), "popularity"),
        ((Popularity(0.0, 0.1, 1.0, 1.0), BESTSELLERS), "bestsellers"),
        ((Popularity(0.2, 0.1, 1.0, 1.0), BESTSELLERS), "popularity"),
    ],
)
def test_it_reads_three_features(recommenders: tuple[Recommender, ...], popular: str) -> None:
    schema = FeatureSchema(recommenders)

    read = {name for name, one in zip(schema.names, reads(schema), strict=True) if one}

    assert read == {popular, "same_sale_purchases", "same_sale_recency"}
