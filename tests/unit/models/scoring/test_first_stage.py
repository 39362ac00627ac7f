"""First stage of large catalogues: what estimates are, and of which sales there are none."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import SaleCounts
from models.domain.event import EventType
from models.features.schema import FeatureSchema
from models.query.query import Query
from models.ranker.ranker import sigmoid
from models.recommenders.popularity import Popularity
from models.scoring.first_stage import N_SAMPLED, FirstStage
from tests.builders import NOW_US, SCHEMA, catalogue, crowd, query, row, sale

N_SALES = 600


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    return crowd(N_SALES, np.random.default_rng(1))


def stage(shop: Catalogue, model: Callable[[Query], NDArray[np.float64]]) -> FirstStage:
    return FirstStage.from_steps(SCHEMA.steps(shop), shop, model)


def test_log_odds_that_are_a_sum_of_the_numbers_of_a_sale_are_estimated(shop: Catalogue) -> None:
    """Of 600 sales 256 are scored, and those of the others follow."""
    weights = np.random.default_rng(2).normal(size=32) / 4
    found = stage(shop, lambda asked: sigmoid(found.numbers[asked.rows] @ weights))

    estimates = found.estimates(query(shop))

    expected = found.numbers.astype(np.float64) @ weights
    assert np.corrcoef(estimates, expected)[0, 1] > 0.99
    assert np.abs(estimates - expected).mean() < 0.1 * expected.std()


def test_interest_in_a_text_is_estimated(shop: Catalogue) -> None:
    """A model that follows the destination alone: the customer looked at sales of d3 only."""
    seen = [one.sale_id for one in shop.sales if one.destination == "d3"][:20]
    of_d3 = np.array([one.destination == "d3" for one in shop.sales])
    asked = query(shop, *((EventType.VIEW, sale_id, 60.0) for sale_id in seen))

    found = stage(shop, lambda one: sigmoid(3.0 * of_d3[one.rows] - 2.0))
    estimates = found.estimates(asked)

    assert estimates[of_d3].min() > estimates[~of_d3].max()
    assert estimates[of_d3].mean() == pytest.approx(1.0, abs=0.2)
    assert estimates[~of_d3].mean() == pytest.approx(-2.0, abs=0.2)


def test_the_usual_log_odds_of_a_sale_are_part_of_its_estimate(shop: Catalogue) -> None:
    """Nothing that the numbers hold: a random number for each sale, the same for all customers."""
    drawn = np.random.default_rng(3).normal(size=len(shop))

    found = stage(shop, lambda asked: sigmoid(drawn[asked.rows]))

    assert found.estimates(query(shop)).tolist() == pytest.approx(drawn.tolist(), abs=1e-3)


def test_usual_log_odds_are_computed_once_for_each_counts(shop: Catalogue) -> None:
    asked: list[int] = []

    def model(one: Query) -> NDArray[np.float64]:
        asked.append(len(one.rows))
        return np.full(len(one.rows), 0.5)

    found = stage(shop, model)
    counts = SaleCounts(NOW_US, shop.counts.totals + 1.0, shop.counts.decayed + 1.0)
    for one in (shop, shop, shop.with_counts(counts), shop):
        found.usual_of(one)

    assert asked == [N_SALES, N_SALES]


def test_a_sale_that_is_over_is_not_scored() -> None:
    """Most of a long catalogue is: one of two closed before its counts."""
    past = {"opens_at": "2025-01-01T00:00:00Z", "closes_at": "2025-01-02T00:00:00Z"}
    both = catalogue(sale("open"), sale("over", **past))

    found = stage(both, lambda asked: np.full(len(asked.rows), 0.75)).usual_of(both)

    assert found[row(both, "open")] == pytest.approx(np.log(3.0))
    assert found[row(both, "over")] == 0.0


def test_the_sample_is_every_nth_candidate(shop: Catalogue) -> None:
    found = stage(shop, lambda asked: np.full(len(asked.rows), 0.5))

    rows = found.sampled_rows(query(shop))

    assert len(rows) == N_SAMPLED
    assert rows.tolist() == [place * N_SALES // N_SAMPLED for place in range(N_SAMPLED)]


def test_what_a_customer_touched_or_was_shown_is_related_with_the_nearest_pictures(
    shop: Catalogue,
) -> None:
    found = stage(shop, lambda asked: np.full(len(asked.rows), 0.5))
    asked = query(shop, (EventType.CLICK, "s7", 60.0), (EventType.IMPRESSION, "s12", 30.0))

    touched, shown = row(shop, "s7"), row(shop, "s12")
    near = shop.neighbours.rows[touched].tolist()
    assert found.related(asked).tolist() == sorted({touched, shown, *near})


def test_a_catalogue_without_vectors_is_estimated_by_its_usual_log_odds(shop: Catalogue) -> None:
    schema = FeatureSchema((Popularity(0.1, 0.1, 10.0, 10.0),))
    bare = catalogue(*shop.sales)
    drawn = np.random.default_rng(4).normal(size=len(bare))

    found = FirstStage.from_steps(
        schema.steps(bare), bare, lambda asked: sigmoid(drawn[asked.rows])
    )

    assert found.estimates(query(bare)).tolist() == pytest.approx(drawn.tolist(), abs=1e-3)
