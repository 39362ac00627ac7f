"""Build worlds without rendering their pictures."""

from dataclasses import dataclass

import numpy as np

from training.simulator.customers import draw_customers, draw_visits
from training.simulator.destinations import RENDERED_SCENES, rendered_destinations
from training.simulator.parameters import Parameters
from training.simulator.period import Period
from training.simulator.sales import draw_sales
from training.simulator.simulation import History, World, simulate
from training.simulator.tastes import SaleFeatures, draw_tastes

END_US = 1_795_366_800_000_000
"""A Sunday evening, 2026-11-22 17:00 UTC."""


@dataclass(frozen=True)
class SimulatedWorld:
    """A world and what happened in it."""

    world: World
    history: History


def small_world(
    parameters: Parameters, *, n_customers: int, seed: int, days: int = 12
) -> SimulatedWorld:
    """Draw a world with random picture attributes, and run it."""
    rng = np.random.default_rng(seed)
    period = Period.ending(END_US, days)
    places = rendered_destinations()
    sales = draw_sales(parameters, period, scenes=RENDERED_SCENES, destinations=places, rng=rng)
    attributes = rng.normal(size=(len(sales), 4))
    features = SaleFeatures(sales, attributes, scenes=RENDERED_SCENES, destinations=places)
    customers = draw_customers(parameters, period, n_customers=n_customers, rng=rng)
    world = World(
        parameters=parameters,
        period=period,
        features=features,
        tastes=draw_tastes(
            parameters, n_scenes=features.n_scenes, n_countries=features.n_countries, rng=rng
        ),
        customers=customers,
        visits=draw_visits(parameters, period, customers=customers, rng=rng),
    )
    return SimulatedWorld(world, simulate(world, rng=rng, progress=lambda _share: None))
