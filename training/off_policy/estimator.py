"""Estimators of a policy's value from the log of another, as pure functions of rounds.

The value is the mean over rounds of the rewards of all positions together. Every estimator is
a sum of ratios of sums over rounds, so that one bootstrap gives all of them their intervals.

Of the slate-aware forms these two fit a home page: it is looked at from above, so what a
position brings may depend on what stands above it and not on what stands below, and a log
that draws position by position holds exactly the probabilities that they need. Estimators
that take positions as independent, or invert the matrix of placements, need the probability
of each sale at each position over all slates, which no record holds; the weights of a whole
slate grow with every position, also for rewards that came above.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.off_policy.rounds import Rounds


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Per-round terms of an estimate.

    Attributes:
        numerators: Shape ``(n_rounds, n_terms)``.
        denominators: Same shape.
    """

    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]

    @property
    def value(self) -> float:
        """The sum over terms of summed numerators over summed denominators; NaN of 0 / 0."""
        above, below = self.numerators.sum(axis=0), self.denominators.sum(axis=0)
        ratios = np.full(above.shape, np.nan)
        np.divide(above, below, out=ratios, where=below != 0)
        return float(ratios.sum())


Estimator = Callable[[Rounds, NDArray[np.float64]], Terms]
"""From rounds and the weights to use, shaped as `Rounds.weights`, to an estimate."""


def clipped(weights: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Cut weights at a limit: less variance, for a bias towards 0 of rewards above 0.

    Source:
        Ionides, Truncated Importance Sampling, 2008, where the square root of the number of
        rounds is a limit whose bias vanishes.
    """
    return np.minimum(weights, limit)


def logged_value(rounds: Rounds) -> Terms:
    """Average the rewards as they were logged: the value of the logging policy."""
    return _mean(rounds.rewards.sum(axis=1))


def direct_method(rounds: Rounds, weights: NDArray[np.float64]) -> Terms:  # noqa: ARG001 - an `Estimator`
    """Average what the model predicts of the target policy's own slates: DM.

    No better than the model, and its interval knows nothing of the model's errors.
    """
    return _mean(rounds.direct.sum(axis=1))


def inverse_propensity(rounds: Rounds, weights: NDArray[np.float64]) -> Terms:
    """Weigh the rewards of whole slates: IPS, ``mean(w * r)``.

    Source:
        Horvitz and Thompson, A Generalization of Sampling Without Replacement, 1952.
    """
    return _mean(weights[:, -1] * rounds.rewards.sum(axis=1))


def self_normalised(rounds: Rounds, weights: NDArray[np.float64]) -> Terms:
    """Divide by the weights' sum instead of their expected one: SNIPS, ``sum(w r) / sum(w)``.

    Source:
        Swaminathan and Joachims, The Self-Normalized Estimator for Counterfactual Learning,
        NIPS 2015.
    """
    whole = weights[:, -1:]
    return Terms(whole * rounds.rewards.sum(axis=1, keepdims=True), whole)


def doubly_robust(rounds: Rounds, weights: NDArray[np.float64]) -> Terms:
    """Correct the model by what it got wrong of the logged slates: DR.

    ``mean(direct + w * (r - predicted))``, rewards and predictions of whole slates.

    Source:
        Dudík, Langford and Li, Doubly Robust Policy Evaluation and Learning, ICML 2011.
    """
    residuals = (rounds.rewards - rounds.predicted).sum(axis=1)
    return _mean(rounds.direct.sum(axis=1) + weights[:, -1] * residuals)


def reward_interaction(rounds: Rounds, weights: NDArray[np.float64]) -> Terms:
    """Weigh each position's reward by the slate down to it, self-normalised: RIPS.

    ``sum over positions k of sum(w_k r_k) / sum(w_k)``, ``w_k`` the weight of positions 1 to
    ``k``. Right where a reward does not depend on what stands below it.

    Source:
        McInerney et al., Counterfactual Evaluation of Slate Recommendations with Sequential
        Reward Interactions, KDD 2020.
    """
    return Terms(weights * rounds.rewards, weights)


def cascade_doubly_robust(rounds: Rounds, weights: NDArray[np.float64]) -> Terms:
    """Correct the model position by position: Cascade-DR.

    The model's value of what follows below position ``k`` is ``below_k``, the sum of
    ``direct`` over later positions, and its value of a sale at ``k`` is ``predicted_k +
    below_k``. With ``w_0 = 1``: ``mean(sum over k of w_(k-1) * (expected_k + below_k) + w_k *
    (r_k - predicted_k - below_k))``.

    Source:
        Kiyohara et al., Doubly Robust Off-Policy Evaluation for Ranking Policies under the
        Cascade Behavior Model, WSDM 2022.
    """
    below = np.cumsum(rounds.direct[:, ::-1], axis=1)[:, ::-1] - rounds.direct
    # Nothing stands above the first position.
    above = np.hstack([np.ones((len(rounds), 1)), weights[:, :-1]])
    errors = rounds.rewards - rounds.predicted - below
    return _mean((above * (rounds.expected + below) + weights * errors).sum(axis=1))


def independent_positions(
    rounds: Rounds, weights: NDArray[np.float64], *, positions: NDArray[np.int64]
) -> Terms:
    """Average the positions' own self-normalised estimates, for logs of a position a row: IIPS.

    ``mean over positions k of sum(w r) / sum(w)`` over the rows at ``k``. Right where a reward
    depends on nothing but the sale and its position, whose probability over all slates the
    log holds.

    Args:
        rounds: Rounds of one position each.
        weights: See `Rounds.weights`.
        positions: Where each stood on its page, from 1, shape ``(n_rounds,)``.

    Source:
        Li et al., Offline Evaluation of Ranking Policies with Click Models, KDD 2018.
    """
    places = np.unique(positions)
    # A column a position, 0 in the rows of the others, shape (n_rounds, n_places).
    at = (positions[:, None] == places) * weights
    return Terms(at * rounds.rewards, at * len(places))


def _mean(values: NDArray[np.float64]) -> Terms:
    return Terms(values[:, None], np.ones((len(values), 1)))


ESTIMATORS: Final[dict[str, Estimator]] = {
    "dm": direct_method,
    "ips": inverse_propensity,
    "snips": self_normalised,
    "dr": doubly_robust,
    "rips": reward_interaction,
    "cascade-dr": cascade_doubly_robust,
}
"""Estimators by name, in the order of reports."""
