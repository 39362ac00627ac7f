"""Memory of a scoring, counted and not timed: what would be copied for each answer."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.catalogue.eligible_sales import EligibleSalesCache
from tests.builders import NOW_US, SCHEMA, browse, crowd, query, scorer

N_SALES = 1_000


def most_bytes(work: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy hold at once for a piece of work."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_a_scoring_copies_no_feature_matrix(rng: np.random.Generator) -> None:
    """Beside the matrix there is room for half of another, not for a copy."""
    catalogue = crowd(N_SALES, rng)
    eligible = EligibleSalesCache(catalogue).at(None, NOW_US)
    asked = query(catalogue, *browse(40, N_SALES, rng=rng))
    asked = replace(asked, rows=eligible.rows, eligible=eligible)
    model = scorer(catalogue.sales)
    model.score(asked)  # what customers share is made once, and kept

    # Joined to the catalogue anew, as for another customer.
    most = most_bytes(lambda: model.score(replace(asked)))

    matrix = len(asked.rows) * len(SCHEMA.names) * np.dtype(np.float32).itemsize
    assert matrix <= most < 1.5 * matrix
