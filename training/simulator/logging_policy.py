"""Logging policy of the simulated home page, with exact propensities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.parameters import DAY_US, MARKETS, Parameters
from training.simulator.sales import Sales

# Chosen: docs/world.md, "Logging policy". The prior rate is near the mean click rate of a world.
_DAILY_DECAY = 0.6
_PRIOR_RATE = 0.08
_PRIOR_WEIGHT = 20.0  # examined impressions: a sale's own rate counts as much from then on
# What this shop assumes of positions; its customers may do otherwise.
_ASSUMED_DECAY = -0.5
# In logits: noise and novelty are small beside popularity, yet every sale gets shown.
_POPULARITY_WEIGHT = 1.2
_NOVELTY = 0.3
_NOISE_SD = 0.3


@dataclass(frozen=True)
class LoggedSlates:
    """Shown slates, row by visit and column by position; ``-1`` and 0 at empty positions.

    Attributes:
        column: Column of the day's market, shape ``(n_visits, slate_size)``.
        propensity: Probability of this sale at this position, given the sales above it and the
            variant, same shape.
    """

    column: NDArray[np.int64]
    propensity: NDArray[np.float64]


class LoggingPolicy:
    """Popularity with decay, a bonus for new sales and daily noise; recomputed every midnight."""

    def __init__(self, parameters: Parameters, sales: Sales, rng: np.random.Generator) -> None:
        """Start without any history; ``rng`` draws the daily noise."""
        self._sales = sales
        self._slate_size = parameters.slate_size
        self._rng = rng
        self._clicks = np.zeros((len(MARKETS), len(sales)))
        self._examined = np.zeros((len(MARKETS), len(sales)))

    def record(
        self,
        market: NDArray[np.int64],
        sale: NDArray[np.int64],
        *,
        position: NDArray[np.int64],
        clicked: NDArray[np.bool_],
    ) -> None:
        """Count impressions, each as ``position**-0.5``, assumed to be examined.

        Args:
            market: Market of every impression, shape ``(n,)``.
            sale: Row of its sale, same shape.
            position: Rank from 1, same shape.
            clicked: Whether it was clicked, same shape.
        """
        np.add.at(self._examined, (market, sale), position**_ASSUMED_DECAY)
        np.add.at(self._clicks, (market[clicked], sale[clicked]), 1.0)

    def scores(self, rows: NDArray[np.int64], *, day_us: int) -> NDArray[np.float64]:
        """Score sales for a day from what earlier days counted, then let the counts decay.

        ``1.2 log((clicks + 20 * 0.08) / (examined + 20) / 0.08) + 0.3 new + N(0, 0.3)``, where
        ``new`` is 1 for sales that opened less than a day before this midnight or later.

        Args:
            rows: Sales of the day.
            day_us: Midnight that begins the day, microseconds.

        Returns:
            Scores, shape ``(n_markets, n_rows)``.
        """
        clicks = self._clicks[:, rows] + _PRIOR_WEIGHT * _PRIOR_RATE
        rate = clicks / (self._examined[:, rows] + _PRIOR_WEIGHT)
        new = self._sales.opens_us[rows] > day_us - DAY_US
        noise = self._rng.normal(0.0, _NOISE_SD, size=rate.shape)
        # All sales decay, not only the day's: each passes one midnight a day.
        self._clicks *= _DAILY_DECAY
        self._examined *= _DAILY_DECAY
        return _POPULARITY_WEIGHT * np.log(rate / _PRIOR_RATE) + _NOVELTY * new + noise

    def fill(
        self,
        scores: NDArray[np.float64],
        *,
        eligible: NDArray[np.bool_],
        uniform: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> LoggedSlates:
        """Draw slates: Plackett-Luce over the scores, or uniformly.

        Args:
            scores: Score of every sale at every visit, shape ``(n_visits, n_rows)``.
            eligible: Which sales may be shown, same shape.
            uniform: Visits whose slate ignores the scores, shape ``(n_visits,)``.
            rng: Source of randomness.
        """
        logits = np.where(eligible, np.where(uniform[:, None], 0.0, scores), -np.inf)
        return plackett_luce(logits, self._slate_size, rng=rng)


def plackett_luce(
    logits: NDArray[np.float64], size: int, *, rng: np.random.Generator
) -> LoggedSlates:
    """Draw without replacement, each time in proportion to ``exp(logit)``.

    The order of ``logit + Gumbel noise`` is such a draw. The propensity at position ``r`` is
    ``exp(logit_r) / sum(exp(logit) of all sales not placed above r)``.

    Args:
        logits: Shape ``(n_slates, n_rows)``; ``-inf`` is never drawn.
        size: Positions of a slate.
        rng: Source of randomness.

    Returns:
        The slates, shape ``(n_slates, min(size, n_rows))``.

    Source:
        Plackett, The analysis of permutations, 1975; Kool et al., Stochastic beams and where to
        find them, 2019, for the Gumbel form.
    """
    keys = logits + rng.gumbel(size=logits.shape)
    size = min(size, logits.shape[1])
    column = np.argsort(-keys, axis=1)[:, :size]
    weight = np.exp(logits)
    chosen = np.take_along_axis(weight, column, axis=1)
    # Weights of what is not drawn, floored against rounding; sums from the last position on keep
    # the propensity of the last one exact.
    rest = np.maximum(weight.sum(axis=1) - chosen.sum(axis=1), 0.0)
    remaining = rest[:, None] + np.cumsum(chosen[:, ::-1], axis=1)[:, ::-1]
    shown = chosen > 0
    propensity = np.divide(chosen, remaining, out=np.zeros_like(chosen), where=shown)
    return LoggedSlates(column=np.where(shown, column, -1), propensity=propensity)
