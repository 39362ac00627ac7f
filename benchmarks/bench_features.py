"""How long does the feature matrix of one request take?

Question: what does `FeatureSchema.assemble` cost for a slate of 10 sales, as in replay, and for
300 open sales, as in serving, with a customer's window joined anew each time?

Method: a catalogue of 1,000 random sales, five in six with a picture, 30 events in the window,
three recommenders; one thread; 2,000 questions of each size, each a new query, after 200 to warm
up. Beside it each group, by its first feature, and each recommender, on a query whose window is
joined already.

Last numbers (2 shared cores, load 5, best of 4 runs): 10 sales p10 402 µs, p50 439; 300 sales p10
616 µs, p50 694. Before a request was a batch of one the same machine, at the same load, took 311 µs
and 330, 526 µs and 617.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from benchmarks.results import write_result
from models.features.schema import GROUPS
from models.profile import Profile
from models.query import Batch, Context, Query
from tests.builders import DAY_US, NOW_US, SCHEMA, browse, crowd, window

N_CATALOGUE, N_EVENTS = 1_000, 30
N_WARM_UP, N_QUESTIONS = 200, 2_000

Figures = dict[str, float]
T = TypeVar("T")


def percentiles(ask: Callable[[], T], answer: Callable[[T], object]) -> Figures:
    """Microseconds that an answer takes, the question not counted."""
    took_us: list[float] = []
    for _ in range(N_WARM_UP + N_QUESTIONS):
        query = ask()
        start = time.perf_counter()
        answer(query)
        took_us.append((time.perf_counter() - start) * 1e6)
    kept = np.array(took_us[N_WARM_UP:])
    return {f"p{q}_us": round(float(np.percentile(kept, q)), 1) for q in (10, 50, 90, 99)}


def joined(query: Query) -> Batch:
    """The query, with all that its readers share computed."""
    batch = Batch.alone(query)
    assert len(batch.history.weight) == len(batch.touches.interest)
    return batch


@pytest.mark.parametrize("n_sales", [10, 300])
def test_assemble(n_sales: int) -> None:
    """Print percentiles of the whole matrix and of each of its parts."""
    rng = np.random.default_rng(1)
    catalogue = crowd(N_CATALOGUE, rng)
    seen = window(*browse(N_EVENTS, N_CATALOGUE, rng=rng))
    profile = Profile(NOW_US - 40 * DAY_US, (0, 5, 5, 1, 1))
    rows = np.sort(rng.choice(N_CATALOGUE, n_sales, replace=False))

    def ask() -> Query:
        return Query(seen, profile, catalogue, Context(NOW_US), rows)

    figures = {"assemble": percentiles(ask, SCHEMA.assemble), "join": percentiles(ask, joined)}
    for group in GROUPS:
        figures[next(iter(group.features))] = percentiles(lambda: joined(ask()), group.values)
    for recommender in SCHEMA.recommenders:
        figures[recommender.name] = percentiles(lambda: joined(ask()), recommender.batch_scores)

    size = {"n_sales": n_sales, "n_catalogue": N_CATALOGUE, "n_events": N_EVENTS}
    write_result(f"features_{n_sales}", size | figures)
