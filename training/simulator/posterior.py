"""Exact posterior of the taste states of customers, given their events."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from training.simulator.behaviour import INTEREST, SIMILAR_LEVELS, Reactions
from training.simulator.logging_policy import LoggedSlates
from training.simulator.tastes import Market, Tastes

_CLICK, _BUY, _CART, _LEAVE = range(4)


class Evidence:
    """Log-likelihoods of one day's observations under every taste state."""

    def __init__(
        self, market: Market, examined: NDArray[np.float64], *, similar_attention: float = 1.0
    ) -> None:
        """Tabulate the log-probability of every observation of every sale.

        Args:
            market: The day's sales.
            examined: P(examined | seen) by position, shape ``(n_positions,)``.
            similar_attention: See `training.simulator.parameters.Parameters`.
        """
        # The table has shape (n_observations * n_rows, n_states): a visit's log-likelihood is a sum
        # of its rows, so that one sparse product serves all visits.
        click, buy = (np.ascontiguousarray(part.T) for part in (market.click, market.buy))
        interest = buy**INTEREST
        self._n_levels = SIMILAR_LEVELS if similar_attention < 1.0 else 1
        shares = np.outer(similar_attention ** np.arange(self._n_levels), examined).ravel()
        ignored = [np.log1p(-np.float32(share) * click) for share in shares]
        outcomes = [np.log(click), np.log(buy), np.log(interest - buy), np.log1p(-interest)]
        self._table = np.concatenate([*ignored, *outcomes])
        self._n_rows = len(market.rows)
        self._n_positions = len(examined)
        self._click = click

    def of_slates(
        self, slates: LoggedSlates, reactions: Reactions, *, similar: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the log-likelihood of what happened to slates.

        An impression without click counts ``log(1 - examined click)``, since whether it was
        examined is latent; constants that no state depends on are left out.

        Args:
            slates: What was shown.
            reactions: What happened.
            similar: See `training.simulator.behaviour.similar_above`.

        Returns:
            Shape ``(n_visits, n_states)``.
        """
        entries: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for mask, outcome in [
            (reactions.seen & ~reactions.clicked, None),
            (reactions.clicked, _CLICK),
            (reactions.bought, _BUY),
            (reactions.interested & ~reactions.bought, _CART),
            (reactions.clicked & ~reactions.interested, _LEAVE),
        ]:
            visit, position = np.nonzero(mask)
            # The table holds a block of sales for each level and position that is ignored, then for
            # each outcome.
            level = np.minimum(similar[visit, position], self._n_levels - 1)
            block = level * self._n_positions + position
            if outcome is not None:
                block = self._n_levels * self._n_positions + outcome
            entries.append((visit, block * self._n_rows + slates.column[visit, position]))
        visit, observed = (np.concatenate(part) for part in zip(*entries, strict=True))
        counts: csr_array = csr_array(
            (np.ones(len(visit), dtype=np.float32), (visit, observed)),
            shape=(len(slates.column), len(self._table)),
        )
        return np.asarray(counts @ self._table, dtype=np.float32)

    def of_views(
        self, column: NDArray[np.int64], eligible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return the log-likelihood of views, ``log(click_s / sum of click over eligible)``.

        Args:
            column: Viewed sales, shape ``(n_views,)``.
            eligible: What could be viewed, shape ``(n_views, n_rows)``.

        Returns:
            Shape ``(n_views, n_states)``.
        """
        total = eligible.astype(np.float32) @ self._click
        return np.log(self._click[column] / total)


class Posterior:
    """The distribution over taste states of every customer, given their events so far.

    A customer's state is their type and, where tastes switch, their regime at the visit. Types do
    not change; the regime moves between visits by the world's Markov chain. This is the forward
    algorithm of a hidden Markov model, exact.
    """

    def __init__(self, tastes: Tastes, n_customers: int) -> None:
        """Start from the prior, under which all states are equally likely."""
        self._log = np.zeros((n_customers, len(tastes.weights)), dtype=np.float32)
        self._transition = tastes.transition.astype(np.float32)

    def move(self, customer: NDArray[np.int64]) -> None:
        """Let the regimes of customers ``(n,)`` who come back change; each row at most once."""
        n_regimes = len(self._transition)
        if n_regimes == 1:
            return
        states = self.probabilities(customer)
        # The floor, near the least float32, keeps the logarithm of an impossible state finite.
        moved = states.reshape(-1, n_regimes) @ self._transition
        self._log[customer] = np.log(np.maximum(moved.reshape(states.shape), np.float32(1e-37)))

    def observe(self, customer: NDArray[np.int64], likelihood: NDArray[np.float32]) -> None:
        """Multiply the posterior by a likelihood.

        Args:
            customer: Rows, each at most once, shape ``(n,)``.
            likelihood: Log-likelihood of the states, shape ``(n, n_states)``.
        """
        updated = self._log[customer] + likelihood
        # Constants cancel in `probabilities`; otherwise sums over many visits would lose digits.
        updated -= updated.max(axis=1, keepdims=True)
        self._log[customer] = updated

    def probabilities(self, customer: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the posterior probabilities ``(n, n_states)`` of customers' rows ``(n,)``."""
        log = self._log[customer]
        states = np.exp(log - log.max(axis=1, keepdims=True))
        return states / states.sum(axis=1, keepdims=True)
