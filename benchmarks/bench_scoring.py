"""Time of the meta-model for one slate, beside LightGBM's own walk through the trees.

Question: the purchase probabilities of 10, 100, 300 and 1,000 sales by 240 + 70 trees of 15
and 7 leaves, over 45 features of which a third is the same for all sales.

Method: one thread; `TwoStageRanker.probabilities`, and beside it LightGBM's own prediction of
both models; the median of 300 calls, on the same matrix.

Last numbers: see results/benchmarks/scoring.json after `make bench`.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import write_result
from models.ranker.ranker import LightGbmRanker
from models.ranker.two_stage import UNCALIBRATED, TwoStageRanker
from tests.builders import flat_offset
from training.configuration import TreeConfig
from training.ranker.fit_trees import fit_trees
from training.ranker.training_rows import TrainingRows

N_CALLS = 300
N_SALES = (10, 100, 300, 1_000)
N_FEATURES = 45
N_SHARED = 15
N_ROWS = 20_000


def matrix(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Features with a tenth unknown."""
    values = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def step(trees: int, leaves: int, *, rng: np.random.Generator) -> LightGbmRanker:
    """Fit exactly so many trees to a sum of all features."""
    values = matrix(N_ROWS, rng)
    labels = rng.random(N_ROWS) < 1 / (1 + np.exp(-np.nansum(values, axis=1)))
    rows = TrainingRows(values, labels.astype(np.float64), np.ones(N_ROWS))
    names = [f"f{column}" for column in range(N_FEATURES)]
    config = TreeConfig(max_trees=trees, leaves=leaves)
    line = flat_offset(N_FEATURES)
    fitted = fit_trees(
        rows, rows, names=names, decreasing=frozenset(), config=config, seed=0, offset=line
    )
    return LightGbmRanker(fitted, UNCALIBRATED, line)


def median_us(call: Callable[[], object]) -> float:
    """Call many times and return the median, in microseconds."""
    times: list[float] = []
    for _ in range(N_CALLS):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e6)
    return round(statistics.median(times), 1)


def test_scoring() -> None:
    """Measure slates of each size."""
    rng = np.random.default_rng(0)
    opening, buying = step(240, 15, rng=rng), step(70, 7, rng=rng)
    ranker = TwoStageRanker(opening, buying, UNCALIBRATED)
    figures: dict[str, object] = {"trees": ranker.n_trees}
    for n in N_SALES:
        values = matrix(n, rng)
        values[:, :N_SHARED] = values[0, :N_SHARED]

        def walk(values: NDArray[np.float32] = values) -> None:
            for one in (opening, buying):
                one.booster.predict(values, num_threads=1)  # pyright: ignore[reportUnknownMemberType] - untyped

        figures[f"{n}_sales"] = {
            "ranker_us": median_us(lambda values=values: ranker.probabilities(values)),
            "lightgbm_us": median_us(walk),
        }
    write_result("scoring", figures)
