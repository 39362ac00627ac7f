"""Rounds: logged slates as arrays of shown sales, propensities and rewards."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rounds:
    """Logged slates under a logging policy, and a target policy's view of them.

    All arrays but ``units`` have shape ``(n_rounds, n_positions)``, first position first. A
    probability at a position is that of the logged sale there, given the sales logged above
    it. Where a slate is shorter, its missing positions have rewards and predictions of 0 and
    probabilities of 1.

    Attributes:
        rewards: What followed from the sale at each position.
        logging: Probability that the logging policy showed it, in ``(0, 1]``.
        target: Probability that the target policy shows it, in ``[0, 1]``.
        predicted: A model's prediction of the reward.
        expected: The mean prediction of what the target policy shows at this position below
            the sales logged above it.
        direct: The mean prediction of what the target policy shows at this position of a
            slate of its own.
        units: Who was shown the slate; rounds of a unit are resampled together, shape
            ``(n_rounds,)``.
    """

    rewards: NDArray[np.float64]
    logging: NDArray[np.float64]
    target: NDArray[np.float64]
    predicted: NDArray[np.float64]
    expected: NDArray[np.float64]
    direct: NDArray[np.float64]
    units: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises:
            ValueError: If arrays differ in shape, or a value is impossible.
        """
        columns = {
            "rewards": self.rewards,
            "logging": self.logging,
            "target": self.target,
            "predicted": self.predicted,
            "expected": self.expected,
            "direct": self.direct,
        }
        for name, column in columns.items():
            # A one-column log that lost its second axis would be read as one round.
            if column.ndim != len(("rounds", "positions")) or column.shape != self.rewards.shape:
                msg = f"{name} has shape {column.shape}, rewards have {self.rewards.shape}"
                raise ValueError(msg)
            _require(np.isfinite(column), column, name, "be finite")
        if self.units.shape != (len(self),):
            msg = f"units have shape {self.units.shape}, not ({len(self)},)"
            raise ValueError(msg)
        _require((self.logging > 0) & (self.logging <= 1), self.logging, "logging", "be in (0, 1]")
        _require((self.target >= 0) & (self.target <= 1), self.target, "target", "be in [0, 1]")

    def __len__(self) -> int:
        """Return the number of rounds."""
        return len(self.rewards)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How much likelier the target policy shows the slate down to each position.

        ``prod(target / logging)`` over the positions from 1 to this one, shape
        ``(n_rounds, n_positions)``. The last column belongs to the whole slate.
        """
        return np.multiply.accumulate(self.target / self.logging, axis=1)

    def top(self, n_positions: int) -> Self:
        """Return the same rounds as if slates ended after some positions.

        Raises:
            ValueError: If that is none of the positions.
        """
        if not 1 <= n_positions <= self.rewards.shape[1]:
            msg = f"slates have {self.rewards.shape[1]} positions, not {n_positions}"
            raise ValueError(msg)
        return type(self)(
            rewards=self.rewards[:, :n_positions],
            logging=self.logging[:, :n_positions],
            target=self.target[:, :n_positions],
            predicted=self.predicted[:, :n_positions],
            expected=self.expected[:, :n_positions],
            direct=self.direct[:, :n_positions],
            units=self.units,
        )


def _require(holds: NDArray[np.bool_], values: NDArray[np.float64], name: str, rule: str) -> None:
    if not holds.all():
        first, position = (int(index) for index in np.argwhere(~holds)[0])
        value = values[first, position]
        msg = f"{name} of round {first} at position {position + 1} must {rule}, got {value:g}"
        raise ValueError(msg)
