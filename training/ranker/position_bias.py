"""Position effect: estimates P(examined) by position, separately from the quality of the sales."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.domain.units import DAY_US
from training.examples.slates import Slates
from training.statistics.newton import newton

MAX_POSITION: Final = 32  # few customers look further down; chosen, not measured
"""Later positions count as this one."""

_TOLERANCE: Final = 1e-6  # of logarithms: far below their own errors
_LONGEST_STEP: Final = 1.0  # of logarithms; full steps overshoot where few succeed
_MAX_CHANCE: Final = 1 - 1e-12  # keeps the denominator of the posterior positive


def sale_days(slates: Slates) -> NDArray[np.int64]:
    """Number the pairs of sale and day of the entries, shape ``(n_entries,)``."""
    days = np.repeat(slates.now_us // DAY_US, np.diff(slates.starts))
    pairs = days * (int(slates.rows.max(initial=0)) + 1) + slates.rows
    return np.unique(pairs, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class ShownExamples:
    """Examples that a position effect is estimated from, each of shape ``(n,)``.

    Attributes:
        positions: From 1.
        groups: Codes of sales, each on one day; see `sale_days`.
        labels: 1 for a success, at least one.
        weights: Weight of each example.
    """

    positions: NDArray[np.int64]
    groups: NDArray[np.int64]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]


def position_effect(
    shown: ShownExamples, relevance: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Estimate P(examined) by position, relative to position 1.

    Better sales tend to stand higher, so positions are compared within groups of one sale on one
    day, at equal relevance to the customer: ``P(success) = position * group * exp(b * relevance)``
    by Poisson likelihood. Given the successes of a group, it is the conditional likelihood of
    which examples they are, which Newton's method maximises. Every position gets one
    pseudo-success at the mean rate, and ``b`` a prior of mean 1 and deviation 1. Isotonic
    regression pools estimates that rise.

    Args:
        shown: The examples.
        relevance: Log of P(success | examined) of each, up to a constant, as another model
            estimates it, shape ``(n,)``; None where the order is not personal.

    Returns:
        Shares at position 1, 2, and so on, shape ``(n_positions,)``: 1, then not rising.

    Source:
        The examination hypothesis of Richardson et al., Predicting Clicks, WWW 2007. In turn
        with a regression of the relevance: Wang et al., Position Bias Estimation for Unbiased
        Learning to Rank in Personal Search, WSDM 2018.
    """
    n_positions = int(shown.positions.max())
    cells = _Cells.from_examples(shown, relevance, n_positions=n_positions)
    start = np.append(np.zeros(n_positions), 1.0)
    # Inside sales: a regression on all features said 1.44 for the log-odds between positions 1 and
    # 10 where the truth was 1.27; inside sales it is 1.33 (decision 0015).
    found = newton(start, cells.step, loss=cells.loss, longest=_LONGEST_STEP, tolerance=_TOLERANCE)
    effect = np.exp(found[:-1])
    examples = np.bincount(shown.positions - 1, weights=shown.weights, minlength=n_positions)
    pooled = isotonic_regression(effect, weights=np.maximum(examples, _TOLERANCE), increasing=False)
    shares = np.asarray(pooled.x, dtype=np.float64)
    return shares / shares[0]


@dataclass(frozen=True, eq=False)
class _Cells:
    """Examples of groups with a success, and their sums by group and position."""

    indices: NDArray[np.int64]
    groups: NDArray[np.int64]
    weights: NDArray[np.float64]
    relevance: NDArray[np.float64]
    by_group: NDArray[np.float64]
    by_position: NDArray[np.float64]
    by_relevance: float

    @classmethod
    def from_examples(
        cls, shown: ShownExamples, relevance: NDArray[np.float64] | None, *, n_positions: int
    ) -> Self:
        won = shown.weights * shown.labels
        # Groups without a success say nothing of where successes are.
        kept = np.bincount(shown.groups, weights=won)[shown.groups] > 0
        groups = np.unique(shown.groups[kept], return_inverse=True)[1].astype(np.int64)
        indices, won = shown.positions[kept] - 1, won[kept]
        known = np.zeros(len(won)) if relevance is None else relevance[kept]
        known = known - np.average(known, weights=shown.weights[kept])
        return cls(
            indices=indices,
            groups=groups,
            weights=shown.weights[kept],
            relevance=known,
            by_group=np.bincount(groups, weights=won).astype(np.float64),
            by_position=np.bincount(indices, won, minlength=n_positions).astype(np.float64),
            by_relevance=float(won @ known),
        )

    def loss(self, found: NDArray[np.float64]) -> float:
        """Return minus the log likelihood and the log priors, up to a constant."""
        totals = np.bincount(self.groups, weights=self._rates(found), minlength=len(self.by_group))
        pulled = self.by_position @ found[:-1] + self.by_relevance * found[-1]
        priors = np.exp(found[:-1]).sum() - found[:-1].sum() + (found[-1] - 1.0) ** 2 / 2
        return float(self.by_group @ np.log(totals) - pulled + priors)

    def _rates(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.weights * np.exp(found[self.indices] + found[-1] * self.relevance)

    def step(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Newton's step at logarithms of the effect, and ``b``, shape ``(n + 1,)``."""
        effect, slope = np.exp(found[:-1]), float(found[-1])
        n_groups, n_positions = len(self.by_group), len(effect)
        rates = self._rates(found)
        quality = self.by_group / np.bincount(self.groups, weights=rates, minlength=n_groups)
        expected = rates * quality[self.groups]
        places = self.groups * n_positions + self.indices
        table = np.bincount(places, weights=expected, minlength=n_groups * n_positions)
        pulls = expected * self.relevance
        cells = np.column_stack(
            [
                table.reshape(n_groups, n_positions),
                np.bincount(self.groups, weights=pulls, minlength=n_groups),
            ]
        )
        second = np.zeros((n_positions + 1, n_positions + 1))
        np.fill_diagonal(second, np.append(cells[:, :-1].sum(axis=0), pulls @ self.relevance))
        cross = np.bincount(self.indices, weights=pulls, minlength=n_positions)
        second[-1, :-1] = second[:-1, -1] = cross
        second -= (cells / self.by_group[:, None]).T @ cells
        # The priors: one pseudo-success at the mean rate, and b = 1 with deviation 1.
        second += np.diag(np.append(effect, 1.0))
        gradient = cells.sum(axis=0) - np.append(self.by_position, self.by_relevance)
        gradient += np.append(effect - 1.0, slope - 1.0)
        return np.asarray(np.linalg.solve(second, gradient), dtype=np.float64)


def log_likelihood(
    log_odds: NDArray[np.float64], *, p_examined: NDArray[np.float64], labels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log of P(label), up to a constant, shape ``(n,)``.

    Of a success ``log(chance)``, otherwise ``log(1 - p_examined * chance)``.

    Args:
        log_odds: Those of the chance P(success | examined), shape ``(n,)``.
        p_examined: P(examined), same shape.
        labels: 1 for a success, same shape.
    """
    p_unseen = np.log(np.maximum(1 - p_examined, np.finfo(np.float64).tiny))
    failed = np.logaddexp(0.0, log_odds + p_unseen) - np.logaddexp(0.0, log_odds)
    return np.where(labels > 0, -np.logaddexp(0.0, -log_odds), failed)


def examination_posterior(
    chances: NDArray[np.float64], *, p_examined: NDArray[np.float64], labels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return P(examined | label), shape ``(n,)``.

    1 for a success, otherwise ``p_examined * (1 - chance) / (1 - p_examined * chance)``.

    Args:
        chances: P(success | examined), shape ``(n,)``.
        p_examined: P(examined), same shape.
        labels: 1 for a success, same shape.

    Source:
        The expectation step of Wang et al., Position Bias Estimation for Unbiased Learning to
        Rank in Personal Search, WSDM 2018.
    """
    bounded = np.minimum(chances, _MAX_CHANCE)
    return np.where(labels > 0, 1.0, p_examined * (1 - bounded) / (1 - p_examined * bounded))
