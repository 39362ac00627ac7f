"""The effect of positions is separated from the quality of the sales there."""

import numpy as np
import pytest

from models.catalogue.attributes import AttributeColumns
from models.features.attributes import AttributeFeatures
from models.features.context import POSITION
from models.features.schema import FeatureSchema
from models.ranker.position_effect import PositionEffect
from training.ranker.fit_offset import examination, fit_offset
from training.ranker.position_bias import ShownExamples, position_effect
from training.ranker.training_rows import TrainingRows

CHANCES = np.array([1.0, 0.6, 0.4])


def test_better_sales_that_stand_higher_do_not_make_positions_matter_more(
    rng: np.random.Generator,
) -> None:
    """Five sales from 30% to 5%, the best one mostly first; the effect is that of each alone."""
    quality = np.array([0.3, 0.2, 0.15, 0.1, 0.05])
    n = 60_000
    sales = rng.integers(5, size=n)
    positions = 1 + np.clip((sales + rng.integers(-2, 3, size=n)) // 2, 0, 2)
    labels = (rng.random(n) < quality[sales] * CHANCES[positions - 1]).astype(np.float64)

    effect = position_effect(ShownExamples(positions, sales, labels, np.ones(n)))

    seen = np.array([labels[positions == place].mean() for place in (1, 2, 3)])
    assert seen[2] / seen[0] < 0.3
    # Some 500 successes at the last position: a standard error of 5%.
    np.testing.assert_allclose(effect, CHANCES, rtol=0.15)


def test_positions_without_a_success_have_a_small_chance_and_never_a_larger_one() -> None:
    """By hand: one sale, 2 of 4, 0 of 4, 1 of 4; the second and third are pooled."""
    positions = np.repeat([1, 2, 3], 4)
    labels = np.array([1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], dtype=np.float64)

    effect = position_effect(
        ShownExamples(positions, np.zeros(12, dtype=np.int64), labels, np.ones(12))
    )

    # With a success more each: 3, 1 and 2 of equally many, so 1, 1/3 and 2/3: pooled, 1/2.
    assert effect.tolist() == pytest.approx([1.0, 0.5, 0.5], abs=1e-4)


def test_sales_that_were_shown_once_are_compared_with_each_other() -> None:
    """Of 4,000 sales each, all shown once, 800 and 200 were bought: the second place has 1/4.

    By hand: with ``r`` the rate of a place, ``(1 + bought) r / (1 + r)`` sums to the purchases
    where ``r`` is their share. The pseudo-success of each place moves this by less than 1%.
    """
    positions = np.repeat([1, 2], 4_000)
    labels = (np.tile(np.arange(4_000), 2) < np.where(positions == 1, 800, 200)).astype(np.float64)

    effect = position_effect(ShownExamples(positions, np.arange(8_000), labels, np.ones(8_000)))

    assert effect.tolist() == pytest.approx([1.0, 0.25], rel=0.01)


def test_of_sales_that_were_shown_once_the_relevance_is_taken_into_account(
    rng: np.random.Generator,
) -> None:
    """Twice as relevant sales stand first: of the 10 times more purchases there 5 are the place's.

    Some 400 successes at the last place: a standard error of 5%.
    """
    n = 20_000
    positions = np.repeat([1, 2], n)
    relevance = np.log(np.where(positions == 1, 0.4, 0.2)) + rng.normal(0, 0.5, 2 * n)
    labels = (rng.random(2 * n) < np.exp(relevance) * np.where(positions == 1, 0.5, 0.1)).astype(
        np.float64
    )

    effect = position_effect(
        ShownExamples(positions, np.arange(2 * n), labels, np.ones(2 * n)), relevance
    )

    assert effect[1] == pytest.approx(0.2, rel=0.15)


def test_weights_stand_for_repeated_rows(rng: np.random.Generator) -> None:
    positions, sales = rng.integers(1, 4, size=300), rng.integers(6, size=300)
    labels, counts = (rng.random(300) < 0.3).astype(np.float64), rng.integers(1, 4, size=300)
    relevance = rng.normal(size=300)

    weighted = position_effect(
        ShownExamples(positions, sales, labels, counts.astype(np.float64)), relevance
    )
    repeated = position_effect(
        ShownExamples(
            np.repeat(positions, counts),
            np.repeat(sales, counts),
            np.repeat(labels, counts),
            np.ones(int(counts.sum())),
        ),
        np.repeat(relevance, counts),
    )

    np.testing.assert_allclose(weighted, repeated, rtol=1e-9)


def test_unknown_positions_teach_no_effect_and_count_as_the_first(
    rng: np.random.Generator,
) -> None:
    """Half of the rows have a position; the others, all bought, would flatten its effect."""
    schema = FeatureSchema(())
    n, column = 4_000, schema.names.index(POSITION)
    matrix = rng.normal(size=(n, len(schema.names))).astype(np.float32)
    matrix[:, column] = rng.integers(1, 4, size=n)
    labels = (rng.random(n) < 0.3 * CHANCES[matrix[:, column].astype(int) - 1]).astype(np.float64)
    rows, groups = TrainingRows(matrix, labels, np.ones(n)), rng.integers(5, size=n)
    unplaced = matrix.copy()
    unplaced[:, column] = np.nan
    both = TrainingRows(
        np.concatenate([matrix, unplaced]), np.concatenate([labels, np.ones(n)]), np.ones(2 * n)
    )

    known = examination(rows, groups, schema=schema, seed=0)
    mixed = examination(both, np.tile(groups, 2), schema=schema, seed=0)

    np.testing.assert_allclose(mixed.common, known.common)
    assert known.common[2] < 0.6
    offset = fit_offset(both, mixed, schema=schema, seed=0)
    assert (offset.p_examined(unplaced) == 1).all()


def test_a_column_of_customers_needs_more_outcomes_than_one_of_sales() -> None:
    """Both say the same of 400 rows: 6 of 10 are bought where they are 1, 4 of 10 where -1.

    Near even odds a row has a precision of 1/4. The weight without a penalty, logit(0.6), is
    therefore multiplied by 100 / (100 + ridge), with ridges of 30 and 1,000.
    """
    columns = AttributeColumns(("own",))
    schema = FeatureSchema((), AttributeFeatures(sales=columns, customers=columns))
    of_sale, of_customer = (schema.names.index(name) for name in ("sale.own", "customer.own"))
    matrix = np.zeros((400, len(schema.names)), dtype=np.float32)
    matrix[:, schema.names.index(POSITION)] = 1
    matrix[:200, of_sale] = matrix[200:, of_customer] = np.tile([1, -1], 100)
    bought = np.repeat([[1, 0], [0, 1]], [60, 40], axis=0).ravel().astype(np.float64)
    rows = TrainingRows(matrix, np.tile(bought, 2), np.ones(400))

    offset = fit_offset(rows, PositionEffect.none(), schema=schema, seed=0)

    # Standardised, a column that is 0 in half of the rows has a scale of sqrt(1/2).
    found = offset.regression.weights[[of_sale, of_customer]] * np.sqrt(2)
    expected = np.log(0.6 / 0.4) * 100 / (100 + np.array([30.0, 1_000.0]))
    np.testing.assert_allclose(found, expected, rtol=0.05)
