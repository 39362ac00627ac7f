"""Time to assemble the feature matrix of one request.

Question: what does `FeatureSchema.assemble` cost for a slate of 10 sales, as in replay, and for
300 open sales, as in serving, with a customer's window joined anew each time?

Method: a catalogue of 1,000 random sales, five in six with a picture, 30 events in the window,
three recommenders; one thread; 2,000 questions of each size, each a new query, after 200 to warm
up. As in serving, all queries rank the same eligible sales, which are looked up once; in
comparison each query brings its own candidates. Each recommender is measured on a query whose
window is joined already.

Last numbers: see results/benchmarks/features_300.json after `make bench`.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from benchmarks.results import write_result
from models.catalogue.eligible_sales import EligibleSales
from models.domain.profile import Profile
from models.query.query import Batch, Context, Query
from tests.builders import DAY_US, NOW_US, SCHEMA, browse, crowd, window

N_CATALOGUE, N_EVENTS = 1_000, 30
N_WARM_UP, N_QUESTIONS = 200, 2_000

Figures = dict[str, float]
T = TypeVar("T")


def percentiles(ask: Callable[[], T], answer: Callable[[T], object]) -> Figures:
    """Microseconds of an answer, without making its query."""
    took_us: list[float] = []
    for _ in range(N_WARM_UP + N_QUESTIONS):
        query = ask()
        start = time.perf_counter()
        answer(query)
        took_us.append((time.perf_counter() - start) * 1e6)
    kept = np.array(took_us[N_WARM_UP:])
    return {f"p{q}_us": round(float(np.percentile(kept, q)), 1) for q in (10, 50, 90, 99)}


def joined(query: Query) -> Batch:
    """The query, with its window joined."""
    return Batch.from_query(query)


@pytest.mark.parametrize("n_sales", [10, 300])
def test_assemble(n_sales: int) -> None:
    """Print percentiles of the whole matrix and of each of its parts."""
    rng = np.random.default_rng(1)
    catalogue = crowd(N_CATALOGUE, rng)
    seen = window(*browse(N_EVENTS, N_CATALOGUE, rng=rng))
    profile = Profile(NOW_US - 40 * DAY_US, (0, 5, 5, 1, 1))
    rows = np.sort(rng.choice(N_CATALOGUE, n_sales, replace=False))

    offer = EligibleSales(catalogue, rows, from_us=NOW_US, until_us=NOW_US + DAY_US)

    def ask() -> Query:
        return Query(seen, profile, catalogue, Context(NOW_US), rows, eligible=offer)

    def ask_alone() -> Query:
        return replace(ask(), eligible=None)

    figures = {
        "assemble": percentiles(ask, SCHEMA.assemble),
        "assemble_alone": percentiles(ask_alone, SCHEMA.assemble),
        "join": percentiles(ask, joined),
    }
    for recommender in SCHEMA.recommenders:
        figures[recommender.name] = percentiles(lambda: joined(ask()), recommender.batch_scores)

    size = {"n_sales": n_sales, "n_catalogue": N_CATALOGUE, "n_events": N_EVENTS}
    write_result(f"features_{n_sales}", size | figures)
