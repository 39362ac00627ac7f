"""What every test shares: the gate on skips, the size of proofs, seeded randomness."""

import numpy as np
import pytest

pytest_plugins = ["pytester", "tests.proofs", "tests.skips", "tests.worlds"]

SEED = 20_170_307


@pytest.fixture
def rng() -> np.random.Generator:
    """Give every test the same numbers in every run and every order."""
    return np.random.default_rng(SEED)
