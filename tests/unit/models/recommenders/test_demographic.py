"""The taste that is expected of customers with the same attributes, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.catalogue.attributes import AttributeColumns
from models.domain.profile import Profile
from models.domain.sale import AttributeValues
from models.query.query import Batch
from models.recommenders.demographic import CustomerEncoder, Demographic
from tests.builders import query
from tests.unit.models.recommenders.test_content_preference import NAMES, PLACES, SHOP

ENCODER = CustomerEncoder(
    AttributeColumns(("age",), (("tier", "gold"),)),
    centre=np.array([40.0, 0.25]),
    scale=np.array([10.0, 0.5]),
)
RECOMMENDER = Demographic(ENCODER, PLACES, mean=np.array([0.1]), weights=np.array([[0.2], [-0.4]]))
"""Ski is at 1, the sea at -1."""


def profile(attributes: AttributeValues) -> Profile:
    return Profile(0, (0,) * 10, attributes=attributes)


@pytest.mark.parametrize(
    ("attributes", "own"),
    [
        # Two standard deviations above the mean of ages, 1.5 above that of gold.
        ({"age": 60.0, "tier": "gold"}, 2 * 0.2 - 1.5 * 0.4),
        # The unknown tier is 0, as the mean is.
        ({"age": 60.0}, 0.4),
        ({"age": 60.0, "tier": "blue"}, 0.4 + 0.2),
        # At most five standard deviations.
        ({"age": 999_999.0}, 1.0),
        ({"shoes": 43.0}, 0.0),
    ],
)
def test_scores_add_the_effects_of_attributes_to_the_mean_taste(
    attributes: AttributeValues, own: float
) -> None:
    scores = RECOMMENDER.scores(query(SHOP, profile=profile(attributes), candidates=NAMES))

    taste = 0.1 + own
    assert scores == pytest.approx(np.array([[taste, own], [taste, own], [-taste, -own]]))


def test_a_customer_without_attributes_has_no_score() -> None:
    assert np.isnan(RECOMMENDER.scores(query(SHOP))).all()


def test_queries_of_a_batch_have_the_scores_that_they_have_alone() -> None:
    rng = np.random.default_rng(1)
    n_columns = 7
    encoder = CustomerEncoder(
        AttributeColumns(tuple(f"a{n}" for n in range(n_columns))),
        rng.normal(size=n_columns),
        rng.uniform(0.5, 2.0, n_columns),
    )
    axes = rng.normal(size=(PLACES.encoder.size, 5))
    recommender = Demographic(
        encoder, replace(PLACES, axes=axes), rng.normal(size=5), rng.normal(size=(n_columns, 5))
    )
    queries = [query(SHOP)] + [
        query(SHOP, profile=profile({f"a{n}": float(rng.normal()) for n in range(n_columns)}))
        for _ in range(9)
    ]
    counts = [Batch.from_query(one).counts for one in queries]

    together = recommender.batch_scores(Batch.from_queries(queries, counts))

    alone = np.stack([recommender.scores(one) for one in queries])
    assert together.tobytes() == alone.tobytes()


def test_without_columns_or_dimensions_nothing_is_known() -> None:
    nothing = replace(
        RECOMMENDER,
        encoder=CustomerEncoder(AttributeColumns(), np.empty(0), np.empty(0)),
        weights=np.empty((0, 1)),
    )

    assert np.isnan(nothing.scores(query(SHOP, profile=profile({"age": 1.0})))).all()


def test_arrays_restore_the_recommender() -> None:
    asked = query(SHOP, profile=profile({"age": 31.0, "tier": "gold"}))

    restored = Demographic.from_arrays(Arrays(RECOMMENDER.to_arrays()))

    assert restored.scores(asked).tobytes() == RECOMMENDER.scores(asked).tobytes()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"customer_scale": np.ones(1)}, "2 means and 1 scales of 2 attributes"),
        ({"weights": np.zeros((2, 3))}, r"weights of shape \(2, 3\) for 2 attributes"),
        ({"mean": np.zeros(2)}, "of 1 dimensions"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changed: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Demographic.from_arrays(Arrays({**RECOMMENDER.to_arrays(), **changed}))
