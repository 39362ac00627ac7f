"""Position effect: estimates P(examined) by position, separately from the quality of the sales."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.sparse import csr_array, diags_array

from models.domain.units import DAY_US
from training.examples.slates import Slates
from training.statistics.newton import newton

MAX_POSITION: Final = 32  # few customers look further down; chosen, not measured
"""Later positions count as this one."""

_TOLERANCE: Final = 1e-6  # of logarithms: far below their own errors
_LONGEST_STEP: Final = 1.0  # of logarithms; full steps overshoot where few succeed
# Gamma shape of a quality at equal relevance, a deviation of 1. Shapes of 0.3 to 10 gave nearly the
# same curve on pages of Expedia (decision 0055).
_QUALITY_PRIOR: Final = 1.0
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

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the examples of a mask, shape ``(n,)``."""
        return type(self)(
            self.positions[chosen],
            self.groups[chosen],
            self.labels[chosen],
            self.weights[chosen],
        )


@dataclass(frozen=True, eq=False)
class CurvePrior:
    """Prior of a position effect: pseudo-successes of every position at a curve.

    Attributes:
        curve: P(examined) at each position, shape ``(n_positions,)``.
        successes: Pseudo-successes of each, positive; the inverse of a variance of logarithms.
    """

    curve: NDArray[np.float64]
    successes: float


def position_effect(
    shown: ShownExamples,
    relevance: NDArray[np.float64] | None = None,
    *,
    prior: CurvePrior | None = None,
) -> NDArray[np.float64]:
    """Estimate P(examined) by position, relative to position 1.

    Better sales tend to stand higher, so positions are compared within groups of one sale on one
    day, at equal relevance to the customer: ``P(success) = position * group * exp(b * relevance)``
    by Poisson likelihood. The quality of a group has a gamma prior of mean 1: a sale that was
    shown often is compared with itself, and one that was shown once with others of equal
    relevance. Newton's method maximises the likelihood without the qualities, a negative
    multinomial one. ``b`` has a prior of mean 1 and deviation 1. Isotonic regression pools
    estimates that rise.

    Args:
        shown: The examples.
        relevance: Log of P(success | examined) of each, up to a constant, as another model
            estimates it, shape ``(n,)``; None where the order is not personal.
        prior: As long as the latest position; None: one pseudo-success of each at the mean rate.

    Returns:
        Shares at position 1, 2, and so on, shape ``(n_positions,)``: 1, then not rising.

    Source:
        The examination hypothesis of Richardson et al., Predicting Clicks, WWW 2007. In turn
        with a regression of the relevance: Wang et al., Position Bias Estimation for Unbiased
        Learning to Rank in Personal Search, WSDM 2018.
    """
    prior = prior or CurvePrior(np.ones(int(shown.positions.max())), 1.0)
    cells = _Cells.from_examples(shown, relevance, prior=prior)
    start = np.append(np.log(prior.curve), 1.0)
    # Inside sales: a regression on all features said 1.44 for the log-odds between positions 1 and
    # 10 where the truth was 1.27; inside sales it is 1.33 (decision 0015).
    found = newton(start, cells.step, loss=cells.loss, longest=_LONGEST_STEP, tolerance=_TOLERANCE)
    effect = np.exp(found[:-1])
    examples = np.bincount(shown.positions - 1, weights=shown.weights, minlength=len(effect))
    pooled = isotonic_regression(effect, weights=np.maximum(examples, _TOLERANCE), increasing=False)
    shares = np.asarray(pooled.x, dtype=np.float64)
    return shares / shares[0]


@dataclass(frozen=True, eq=False)
class _Cells:
    """Examples at the mean rate, and their successes; those of groups with the prior's.

    A cell is a group at a position; ``places`` has both of every cell.
    """

    indices: NDArray[np.int64]
    groups: NDArray[np.int64]
    cells: NDArray[np.int64]
    places: tuple[NDArray[np.int64], NDArray[np.int64]]
    weights: NDArray[np.float64]
    relevance: NDArray[np.float64]
    by_group: NDArray[np.float64]
    by_position: NDArray[np.float64]
    by_relevance: float
    prior: CurvePrior

    @classmethod
    def from_examples(
        cls, shown: ShownExamples, relevance: NDArray[np.float64] | None, *, prior: CurvePrior
    ) -> Self:
        n_positions, won = len(prior.curve), shown.weights * shown.labels
        groups = np.unique(shown.groups, return_inverse=True)[1].astype(np.int64)
        indices = shown.positions - 1
        cells, of_example = np.unique(groups * n_positions + indices, return_inverse=True)
        known = np.zeros(len(won)) if relevance is None else relevance
        known = known - np.average(known, weights=shown.weights)
        # At the mean rate, so that a group's quality is near 1.
        rate = won.sum() / (shown.weights @ np.exp(known))
        return cls(
            indices=indices,
            groups=groups,
            cells=of_example,
            places=(cells // n_positions, cells % n_positions),
            weights=rate * shown.weights,
            relevance=known,
            by_group=np.bincount(groups, weights=won).astype(np.float64) + _QUALITY_PRIOR,
            by_position=np.bincount(indices, won, minlength=n_positions).astype(np.float64),
            by_relevance=float(won @ known),
            prior=prior,
        )

    def loss(self, found: NDArray[np.float64]) -> float:
        """Return minus the log likelihood and the log priors, up to a constant."""
        logarithms, slope = found[:-1], float(found[-1])
        likelihood = self.by_position @ logarithms + self.by_relevance * slope
        likelihood -= self.by_group @ np.log(self._totals(self._rates(found)))
        pseudo = (logarithms - np.exp(logarithms) / self.prior.curve).sum()
        return float((slope - 1.0) ** 2 / 2 - likelihood - self.prior.successes * pseudo)

    def _rates(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.weights * np.exp(found[self.indices] + found[-1] * self.relevance)

    def _totals(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the expected successes of groups, with those of the prior."""
        totals = np.bincount(self.groups, rates, minlength=len(self.by_group))
        return totals.astype(np.float64) + _QUALITY_PRIOR

    def step(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Newton's step at logarithms of the effect, and ``b``, shape ``(n + 1,)``."""
        effect, slope = np.exp(found[:-1]), float(found[-1])
        n_groups, n_positions = len(self.by_group), len(effect)
        rates = self._rates(found)
        quality = self.by_group / self._totals(rates)
        expected = rates * quality[self.groups]
        by_cell = np.bincount(self.cells, weights=expected)
        table = csr_array((by_cell, self.places), shape=(n_groups, n_positions))
        pulls = expected * self.relevance
        pulls_of = np.bincount(self.groups, weights=pulls, minlength=n_groups) / self.by_group
        shares = diags_array(1 / self.by_group) @ table
        cross = np.bincount(self.indices, weights=pulls, minlength=n_positions)
        by_position = np.bincount(self.indices, weights=expected, minlength=n_positions)
        sums = np.append(by_position, pulls.sum())
        second = np.diag(np.append(sums[:-1], pulls @ self.relevance - self.by_group @ pulls_of**2))
        second[:-1, :-1] -= (table.T @ shares).toarray()
        second[-1, :-1] = second[:-1, -1] = cross - table.T @ pulls_of
        # The priors: pseudo-successes, and b = 1 with deviation 1.
        at_prior = self.prior.successes * effect / self.prior.curve
        second += np.diag(np.append(at_prior, 1.0))
        gradient = sums - np.append(self.by_position, self.by_relevance)
        gradient += np.append(at_prior - self.prior.successes, slope - 1.0)
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
