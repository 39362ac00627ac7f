"""The learned ranking does not follow positions that alone drive clicks and purchases."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from models.features.schema import FeatureSchema
from tests.logs import DAY, MINUTE, SECOND, Row, catalogue, event_table
from training.configuration import RunConfig, TreeConfig
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.refit import (
    RefittedSchema,
    after_first_refit,
    fit_recommenders,
    refit_moments,
)
from training.examples.slates import shown_slates
from training.ranker.early_stopping import RankerTraining
from training.ranker.fit_ranker import fit_ranker
from training.recommenders.interactions import Interactions

SALES: Final = tuple(f"s{number}" for number in range(8))
P_CLICK: Final = (0.6, 0.35, 0.2, 0.12, 0.07)
P_BUY: Final = 0.5

CONFIG: Final = RunConfig(trees=TreeConfig(max_trees=80, patience=20))


def biased_log(rng: np.random.Generator, n_slates: int) -> Iterator[Row]:
    """Eight sales as good as each other; half of the lists put s0 before s1 before s2 and so on."""
    for number in range(n_slates):
        drawn = np.sort(rng.choice(len(SALES), size=len(P_CLICK), replace=False))
        order = drawn if rng.random() < 0.5 else rng.permutation(drawn)
        numbers: list[int] = order.tolist()
        for place, row in enumerate(numbers):
            shown = Row(
                kind="impression",
                at=number * MINUTE,
                customer=f"c{number % 900}",
                sale=SALES[row],
                exposure=f"x{number}",
                position=place + 1,
            )
            yield shown
            if rng.random() < P_CLICK[place]:
                yield replace(shown, kind="click", at=shown.at + SECOND)
                if rng.random() < P_BUY:
                    yield replace(shown, kind="purchase", at=shown.at + 2 * SECOND)


@pytest.mark.slow
@pytest.mark.parametrize(("n_slates", "seed"), [(1_500, 4), (3_000, 5), (3_000, 6)])
def test_a_ranking_learned_where_position_decides_does_not_chase_position(
    n_slates: int, seed: int
) -> None:
    """Sales that stood first were bought far more often; at position 1 all are worth the same.

    The truth is 0.3 for every row. Of 3,000 slates 2,250 teach it, some 3,000 clicks: P(clicks)
    at position 1 and P(buys) of what was clicked are each known to 2%.
    """
    events = event_table(biased_log(np.random.default_rng(seed), n_slates))
    past = PointInTime(events, catalogue(*SALES))
    interactions = Interactions.from_events(events, past.catalogue)
    schema = FeatureSchema(fit_recommenders(interactions))
    slates = shown_slates(events, past.catalogue, outcome_us=DAY)
    # As trainings do: recommenders that knew the labels would tell them.
    moments = refit_moments(slates)
    slates = after_first_refit(slates, moments)
    refitted = RefittedSchema.fit(interactions, moments)
    matrix = assemble_slates(past, slates, schema=refitted)

    ranker = fit_ranker(RankerTraining(slates, matrix, schema, config=CONFIG, seed=0)).ranker

    late = slice(int(slates.starts[int(0.75 * len(slates))]), None)
    rows, positions = slates.rows[late], slates.positions[late]
    first = matrix[late].copy()
    first[:, schema.names.index("position")] = 1
    predicted = ranker.probabilities(first)
    bought = slates.bought[late].astype(np.float64)
    places = [past.catalogue.row_for(sale) for sale in SALES]
    observed, learned = (
        np.array([values[rows == row].mean() for row in places]) for values in (bought, predicted)
    )
    chased, left = (rates[:2].mean() / rates[-2:].mean() - 1 for rates in (observed, learned))
    assert chased > 1.0
    assert abs(left) < 0.1 * chased
    # The fifth position is clicked 160 times in 2,250 lists: errors are those of small numbers.
    small = math.sqrt(3_000 / n_slates)
    assert learned.max() / learned.min() - 1 < 0.15 * small
    assert predicted.mean() == pytest.approx(P_CLICK[0] * P_BUY, rel=0.12)
    by_place = [predicted[positions == place].mean() for place in range(1, len(P_CLICK) + 1)]
    assert max(by_place) / min(by_place) - 1 < 0.06 * small
