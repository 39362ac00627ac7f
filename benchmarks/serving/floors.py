"""Floors of an answer: processor time of its parts alone, in one process, without a server.

Run as ``python -m benchmarks.serving.floors BUNDLE STATE CUSTOMER N``; prints microseconds as JSON.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import uvloop
from numpy.typing import NDArray

from app.stores.embedded import embedded_server
from app.stores.store import Stores
from models.ranker.two_stage import TwoStageRanker
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer

N_CALLS: Final = 500
N_ITEMS: Final = 10


def rows_of(scorer: Scorer, n: int) -> NDArray[np.float32]:
    """Draw feature rows of the scale of a bundle's own, a tenth unknown, shape ``(n, n_features)``.

    As in an answer, the features of the customer are the same in all rows.
    """
    rng = np.random.default_rng(3)
    assert scorer.logistic is not None
    scale = scorer.logistic.scale
    drawn = rng.normal(scale.centres, scale.scales, size=(n, len(scale.centres)))
    values = np.where(scale.logarithmic > 0, np.sign(drawn) * np.expm1(np.abs(drawn)), drawn)
    values[rng.random(values.shape) < 0.1] = np.nan
    values = values.astype(np.float32)
    for column, (scope, _) in enumerate(scorer.schema.features.values()):
        if scope in {"customer", "context"}:
            values[:, column] = values[0, column]
    return values


def median_us(call: Callable[[], object]) -> float:
    """Call many times and return the median processor time in microseconds."""
    took: list[float] = []
    for _ in range(N_CALLS):
        started = time.thread_time()
        call()
        took.append((time.thread_time() - started) * 1e6)
    return statistics.median(took)


async def read_us(url: str, customer_id: str) -> float:
    """Read a customer many times, one after the other; return microseconds of a read."""
    stores = Stores.open(url, timeout_s=10.0)
    await stores.customers.read(customer_id)  # connects
    started = time.thread_time()
    for _ in range(N_CALLS):
        await stores.customers.read(customer_id)
    took_s = time.thread_time() - started
    await stores.server.close()
    return took_s / N_CALLS * 1e6


def main(bundle: Path, state: Path, customer_id: str, n: int) -> None:
    """Measure each part."""
    scorer = Scorer.load(read_bundle(bundle))
    rows, ranker = rows_of(scorer, n), scorer.ranker
    stages = [ranker.opening, ranker.buying] if isinstance(ranker, TwoStageRanker) else [ranker]
    boosters = [getattr(stage, "booster") for stage in stages]  # noqa: B009 - of the class that a bundle has
    item = {"sale_id": "open-12345", "rank": 1, "purchase_probability": 0.0123456789}
    answer = {"recommendation_id": "0" * 32, "items": [{**item, "explanation": None}] * N_ITEMS}
    with embedded_server(state) as url:
        read = uvloop.run(read_us(url, customer_id))
    found = {
        "redis_read": read,
        "booster": median_us(lambda: [one.predict(rows, num_threads=1) for one in boosters]),
        "meta_model": median_us(lambda: ranker.probabilities(rows)),
        "json": median_us(lambda: orjson.dumps(answer)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    _, bundle_name, state_name, customer, n_rows = sys.argv
    main(Path(bundle_name), Path(state_name), customer, int(n_rows))
