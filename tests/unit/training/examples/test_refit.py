"""Scores that the meta-model learns from come from recommenders that did not know the outcome."""

from pathlib import Path

import numpy as np
import pytest

from models.catalogue.snapshot import Snapshot
from models.dataset.reading import Dataset, read_dataset
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.query import Batch
from tests.logs import DAY
from training.examples.point_in_time import PointInTime
from training.examples.refit import (
    RefittedSchema,
    after_first_refit,
    fit_recommenders,
    refit_moments,
)
from training.examples.slates import Slates, shown_slates
from training.recommenders.interactions import Interactions

N_SLATES = 20


@pytest.fixture(scope="module")
def world(tiny_world: Path) -> Dataset:
    return read_dataset(tiny_world)


@pytest.fixture(scope="module")
def past(world: Dataset) -> PointInTime:
    sales = {sale.sale_id: sale for sale in world.sales}
    return PointInTime(world.events, Snapshot.from_sales(sales, {}).catalogue(Topics.none()))


@pytest.fixture(scope="module")
def slates(past: PointInTime) -> Slates:
    return shown_slates(past.events, past.catalogue, outcome_us=DAY)


def columns_of_another_past(
    past: PointInTime, slates: Slates, refitted: RefittedSchema
) -> set[str]:
    """Compare features with those of recommenders fitted on a log cut at their refit."""
    found: set[str] = set()
    starts = np.array(refitted.starts_us)
    for query in past.queries(slates):
        start_us = int(starts[starts <= query.context.now_us].max())
        known = past.events.select(past.events.received_us < start_us)
        honest = FeatureSchema(fit_recommenders(Interactions.from_events(known, past.catalogue)))
        features = refitted.assemble_batch(Batch.from_query(query))[0]
        differs = ~np.isclose(features, honest.assemble(query), equal_nan=True)
        found |= {honest.names[column] for column in np.flatnonzero(differs.any(axis=0))}
    return found


def sampled(slates: Slates, starts: list[int], rng: np.random.Generator) -> Slates:
    scored = after_first_refit(slates, starts)
    return scored.select(np.sort(rng.choice(len(scored), size=N_SLATES, replace=False)))


def test_rows_are_scored_by_recommenders_that_knew_only_what_came_before(
    past: PointInTime, slates: Slates, rng: np.random.Generator
) -> None:
    starts = refit_moments(slates)
    refitted = RefittedSchema.fit(Interactions.from_events(past.events, past.catalogue), starts)

    assert columns_of_another_past(past, sampled(slates, starts, rng), refitted) == set()


def test_a_recommender_that_was_fitted_on_its_own_labels_is_found(
    past: PointInTime, slates: Slates, rng: np.random.Generator
) -> None:
    starts = refit_moments(slates)
    everything = FeatureSchema(
        fit_recommenders(Interactions.from_events(past.events, past.catalogue))
    )
    leaking = RefittedSchema(starts, [everything] * len(starts))

    found = columns_of_another_past(past, sampled(slates, starts, rng), leaking)

    assert {"popularity", "taste"} <= found


def test_it_is_fitted_again_as_the_slates_go_by(slates: Slates) -> None:
    """The time before the first refit is left out: nothing was known then."""
    starts = refit_moments(slates)

    scored = after_first_refit(slates, starts)

    shares = [float(np.mean(slates.now_us < start)) for start in starts]
    assert shares == pytest.approx([0.05, *np.arange(1, 10) / 10], abs=0.01)
    assert scored.now_us.min() > starts[0]
    assert len(scored) / len(slates) == pytest.approx(0.95, abs=0.01)


def test_a_moment_before_the_first_refit_is_refused(past: PointInTime, slates: Slates) -> None:
    starts = refit_moments(slates)
    refitted = RefittedSchema(starts, [FeatureSchema(())] * len(starts))
    first = next(past.queries(slates.select(np.array([0]))))

    with pytest.raises(
        ValueError, match=f"no recommender was fitted before {slates.now_us[0] - 1}"
    ):
        refitted.assemble_batch(Batch.from_query(first))


def test_without_slates_there_is_one_fit_on_nothing(past: PointInTime, slates: Slates) -> None:
    """A run with too little to learn from is to end in its own message."""
    none = slates.select(np.empty(0, dtype=np.intp))

    refitted = RefittedSchema.fit(
        Interactions.from_events(past.events, past.catalogue), refit_moments(none)
    )

    assert "taste" in refitted.names
