"""How many purchases rankings would bring, from the written probabilities."""

import numpy as np
from numpy.typing import NDArray

from training.world.behaviour import examination
from training.world.simulation import Truth

_SIZE = 10


def expected_purchases(truth: Truth) -> dict[str, float]:
    """Compute expected purchases@10 of oracle rankings of all eligible sales, per visit.

    The mean over visits of ``sum over ranks r of r**-0.5 * P(purchase | examined)`` of the first
    ten sales by each score. ``random`` is its mean over all orders, in closed form.

    Args:
        truth: What was true, ordered by visit.

    Returns:
        Values of ``random``, ``popularity`` (prior mean), ``knowable`` and ``truth``.
    """
    starts = np.flatnonzero(np.diff(truth.visit, prepend=-1))
    scores = {
        "popularity": truth.popular,
        "knowable": truth.knowable,
        "truth": truth.truth,
    }
    values = {name: _expected(truth, starts, score=score) for name, score in scores.items()}
    return {"random": _random(truth, starts), **values}


def _expected(truth: Truth, starts: NDArray[np.int64], *, score: NDArray[np.float32]) -> float:
    # Visits come in order, so sorting within them leaves their boundaries where they are.
    order = np.lexsort((-score, truth.visit))
    counts = np.diff(starts, append=len(truth.visit))
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    shown = rank < _SIZE
    gains = truth.truth[order][shown] * examination(_SIZE)[rank[shown]]
    return float(gains.sum() / max(len(starts), 1))


def _random(truth: Truth, starts: NDArray[np.int64]) -> float:
    counts = np.diff(starts, append=len(truth.visit))
    reach = np.concatenate([[0.0], np.cumsum(examination(_SIZE))])[np.minimum(counts, _SIZE)]
    means = np.add.reduceat(truth.truth.astype(np.float64), starts) / counts
    return float((means * reach).mean())
