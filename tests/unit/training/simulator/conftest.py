"""Small worlds without pictures: attributes are random numbers here."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.simulator.builder import SimulatedWorld, small_world
from training.simulator.parameters import WORLDS


@pytest.fixture(scope="session", params=sorted(WORLDS))
def simulated(request: pytest.FixtureRequest) -> SimulatedWorld:
    """Each named world with few types, sales and customers."""
    n_types = 60 if request.param == "regimes" else 200
    parameters = replace(WORLDS[request.param], n_types=n_types, sales_per_day=8.0)
    return small_world(parameters, n_customers=900, seed=5)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded source of randomness."""
    return np.random.default_rng(11)
