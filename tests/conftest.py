"""Fixtures and hooks of all tests: the rule on skips, the size of proofs, seeded randomness."""

import numpy as np
import pytest
from hypothesis import settings

from models.kernel.library import build

pytest_plugins = ["pytester", "tests.proofs", "tests.skips", "tests.worlds"]

SEED = 20_170_307

# The same examples in every run, and no limit on time: a busy machine is no fault of the code.
settings.register_profile("vitrine", deadline=None, derandomize=True)
settings.load_profile("vitrine")


def pytest_configure() -> None:
    """Build the kernel, as `make` does: services of the tests use it too."""
    build()


@pytest.fixture
def rng() -> np.random.Generator:
    """Give every test the same numbers in every run and every order."""
    return np.random.default_rng(SEED)
