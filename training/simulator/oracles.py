"""Oracles: expected purchases of rankings by the true probabilities."""

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import examination

_SIZE = 10  # positions of the simulated home page


class Oracles:
    """Expected purchases@10 of rankings of all eligible sales, averaged over visits.

    A visit counts ``sum over ranks of P(examined) * P(purchase | examined)`` of the first ten sales
    by a score: the truth, what is knowable, the prior mean (``popularity``: what every customer
    would be shown if all sales were known), and a random order, in closed form.
    """

    def __init__(self, curve: str = "root") -> None:
        """Start with no visits, whose customers examine by a curve of `CURVES`."""
        self._examined = examination(_SIZE, curve)
        self._totals = {"random": 0.0, "popularity": 0.0, "knowable": 0.0, "truth": 0.0}
        self._n_visits = 0

    def add(
        self,
        truth: NDArray[np.float32],
        knowable: NDArray[np.float32],
        *,
        popular: NDArray[np.float32],
        eligible: NDArray[np.bool_],
    ) -> None:
        """Count visits.

        Args:
            truth: P(purchase | examined at position 1), shape ``(n_visits, n_sales)``.
            knowable: Its posterior mean, same shape.
            popular: Its prior mean, shape ``(n_sales,)``.
            eligible: Which sales may be shown, shape ``(n_visits, n_sales)``.
        """
        gains = np.where(eligible, truth, 0.0)
        scores = {"popularity": popular, "knowable": knowable, "truth": truth}
        size = min(_SIZE, gains.shape[1])
        for name, score in scores.items():
            # Probabilities are positive, so that -1 ranks behind every sale that may be shown.
            behind = -np.where(eligible, score, -1.0)
            first = np.argpartition(behind, size - 1, axis=1)[:, :size]
            best = np.argsort(np.take_along_axis(behind, first, axis=1), axis=1, kind="stable")
            order = np.take_along_axis(first, best, axis=1)
            ranked = np.take_along_axis(gains, order, axis=1)
            self._totals[name] += float((ranked * self._examined[:size]).sum())
        counts = eligible.sum(axis=1)
        reach = np.cumsum(np.append(0.0, self._examined))[np.minimum(counts, _SIZE)]
        self._totals["random"] += float((gains.sum(axis=1) / np.maximum(counts, 1) * reach).sum())
        self._n_visits += len(truth)

    def means(self) -> dict[str, float]:
        """Return expected purchases@10 a visit, by oracle; 0 before any visit."""
        return {name: total / max(self._n_visits, 1) for name, total in self._totals.items()}
