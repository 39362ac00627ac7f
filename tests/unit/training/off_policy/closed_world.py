"""A shop of six sales and three kinds of customers, small enough to know every value exactly."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.off_policy.rounds import Rounds
from training.simulator.logging_policy import plackett_luce

N_SALES: Final = 6
N_POSITIONS: Final = 3
N_UNITS: Final = 500
VISITS: Final = 3
_EXAMINED: Final = np.array([1.0, 0.7, 0.5])
_SATISFIED: Final = 0.6


@dataclass(frozen=True)
class ClosedWorld:
    """Customers click down a page; whom a sale pleased looks less at the one below it.

    A click at a position has the probability ``examined * attraction * (1 - 0.6 * attraction of
    the sale above)``: what it brings depends on what stands above. Kinds of customers differ,
    and each visits three times, so that the slates of a customer are alike.

    Attributes:
        attraction: By kind of customer and sale, shape ``(n_kinds, N_SALES)``.
        logging: Logits of the logging policy, same shape.
        target: Logits of the target policy, same shape.
    """

    attraction: NDArray[np.float64]
    logging: NDArray[np.float64]
    target: NDArray[np.float64]

    @classmethod
    def drawn(cls, seed: int) -> "ClosedWorld":
        """Draw a world whose target policy knows more of it than the logging policy."""
        rng = np.random.default_rng(seed)
        attraction = rng.uniform(0.05, 0.6, size=(3, N_SALES))
        logging = rng.normal(0.0, 0.4, size=attraction.shape)
        return cls(attraction, logging, logging + 4.0 * attraction)

    @cached_property
    def slates(self) -> NDArray[np.int64]:
        """Every slate there can be, shape ``(120, N_POSITIONS)``."""
        return np.array(list(permutations(range(N_SALES), N_POSITIONS)))

    def clicks(self, kinds: NDArray[np.int64], slates: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability of a click at each position of a slate, shaped as the slates."""
        pleases = self.attraction[kinds[:, None], slates]
        above = np.hstack([np.zeros((len(slates), 1)), pleases[:, :-1]])
        return _EXAMINED[: slates.shape[1]] * pleases * (1 - _SATISFIED * above)

    @cached_property
    def direct(self) -> NDArray[np.float64]:
        """Mean clicks under the target policy by kind and position, over all slates."""
        by_kind: list[NDArray[np.float64]] = []
        for kind in range(len(self.attraction)):
            kinds = np.full(len(self.slates), kind)
            chance = conditional(self.target[kinds], self.slates).prod(axis=1)
            by_kind.append(chance @ self.clicks(kinds, self.slates))
        return np.array(by_kind)

    @property
    def truth(self) -> float:
        """Clicks that a slate of the target policy brings; kinds are equally frequent."""
        return float(self.direct.sum(axis=1).mean())

    def log(self, rng: np.random.Generator) -> Rounds:
        """Draw a log, with a model that predicts what is true."""
        kinds = np.repeat(rng.integers(len(self.attraction), size=N_UNITS), VISITS)
        shown = plackett_luce(self.logging[kinds], N_POSITIONS, rng=rng)
        chance = self.clicks(kinds, shown.column)
        return Rounds(
            rewards=(rng.random(chance.shape) < chance).astype(np.float64),
            logging=shown.propensity,
            target=conditional(self.target[kinds], shown.column),
            predicted=chance,
            expected=self._expected(kinds, shown.column),
            direct=self.direct[kinds],
            units=np.repeat(np.arange(N_UNITS), VISITS),
        )

    def _expected(self, kinds: NDArray[np.int64], slates: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean clicks at each position over what the target shows there, below what is above."""
        expected = np.zeros(slates.shape)
        for sale in range(N_SALES):
            for position in range(N_POSITIONS):
                other = slates.copy()
                other[:, position] = sale
                is_free = ~(slates[:, :position] == sale).any(axis=1)
                head = slice(0, position + 1)
                chance = conditional(self.target[kinds], other[:, head])[:, position]
                clicks = self.clicks(kinds, other[:, head])[:, position]
                expected[is_free, position] += (chance * clicks)[is_free]
        return expected


def conditional(logits: NDArray[np.float64], slates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Plackett-Luce probability of each sale of a slate among those not above it."""
    weights = np.exp(logits)
    chosen = np.take_along_axis(weights, slates, axis=1)
    above = np.cumsum(chosen, axis=1) - chosen
    return chosen / (weights.sum(axis=1, keepdims=True) - above)


def with_model(rounds: Rounds, factor: float) -> Rounds:
    """Return the same log with predictions so many times as large."""
    return replace(
        rounds,
        predicted=factor * rounds.predicted,
        expected=factor * rounds.expected,
        direct=factor * rounds.direct,
    )
