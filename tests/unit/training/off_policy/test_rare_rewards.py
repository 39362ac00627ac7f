"""Intervals of logs with few rewards contain the truth, or the log is refused."""

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Final, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.proofs import Proof
from training.off_policy.policy_value import value_policy
from training.off_policy.rounds import Rounds
from training.off_policy.support import RefusedError

AT_LEAST: Final = 2
N_LOGS: Final = {100: 3_000, 300: 1_000, 1_000: 300}
"""Logs of a cell by its effective rounds: fewest rounds, closest claim, least work."""

REWARDS: Final = (10, 30, 100, 300)
N_SALES: Final = 5
N_PLACES: Final = 3
LOOKED_AT: Final = np.array([1.0, 0.6, 0.4])
SLATES: Final = np.array(list(permutations(range(N_SALES), N_PLACES)))
WEIGHTED: Final = ("ips", "snips", "dr", "rips", "cascade-dr")
"""`dm` is a prediction: its interval leaves out that the model may be wrong."""


def chances(appeal: NDArray[np.float64], slates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Draw without replacement, one place after the other: the chance of each place."""
    found = np.empty(slates.shape)
    left = np.broadcast_to(appeal, (len(slates), N_SALES)).copy()
    every = np.arange(len(slates))
    for place in range(slates.shape[1]):
        found[:, place] = left[every, slates[:, place]] / left.sum(axis=1)
        left[every, slates[:, place]] = 0.0
    return found


@dataclass(frozen=True)
class Lottery:
    """One kind of customers, five sales, and a model that promises the same of all.

    Attributes:
        worth: How often each sale is bought if looked at, up to a factor, shape ``(N_SALES,)``.
        logging: Weights by which the log draws, same shape.
        target: Weights by which the target draws, same shape.
    """

    worth: NDArray[np.float64]
    logging: NDArray[np.float64]
    target: NDArray[np.float64]

    @classmethod
    def drawn(cls, seed: int) -> Self:
        rng = np.random.default_rng(seed)
        worth = rng.gamma(2.0, 0.5, size=N_SALES)
        logging = rng.uniform(0.5, 2.0, size=N_SALES)
        return cls(worth, logging, logging * worth)

    @property
    def efficiency(self) -> float:
        """Effective rounds a logged one: 1 over the mean squared weight."""
        logged = chances(self.logging, SLATES).prod(axis=1)
        target = chances(self.target, SLATES).prod(axis=1)
        return float(1 / (target**2 / logged).sum())

    def value(self, appeal: NDArray[np.float64]) -> float:
        """Purchases a slate, up to the factor, by the sum over all 60 slates."""
        drawn = chances(appeal, SLATES).prod(axis=1)
        return float(drawn @ (LOOKED_AT * self.worth[SLATES]).sum(axis=1))

    def log(self, n: int, factor: float, rng: np.random.Generator) -> Rounds:
        number = rng.choice(len(SLATES), size=n, p=chances(self.logging, SLATES).prod(axis=1))
        shown = SLATES[number]
        bought = factor * LOOKED_AT * self.worth[shown]
        promised = np.broadcast_to(factor * LOOKED_AT * self.worth.mean(), shown.shape)
        return Rounds(
            rewards=(rng.random(shown.shape) < bought).astype(np.float64),
            logging=chances(self.logging, shown),
            target=chances(self.target, shown),
            predicted=promised,
            expected=promised,
            direct=promised,
            units=np.arange(n),
        )


@pytest.mark.prove
def test_intervals_of_rare_rewards_hold_or_are_refused(proof: Proof) -> None:
    """A cell is a number of effective rounds and of rewards that the log has on average."""
    world, rng = Lottery.drawn(3), np.random.default_rng(7)
    cells: dict[str, dict[str, float]] = {}
    for effective, n_in_full in N_LOGS.items():
        n_logs = max(AT_LEAST, proof.scale(n_in_full))
        for rewards in REWARDS:
            n = round(effective / world.efficiency)
            factor = rewards / (n * world.value(world.logging))
            if factor * world.worth.max() > 1:
                continue  # no log has so many
            truth = factor * world.value(world.target)
            held: dict[str, list[bool]] = {name: [] for name in WEIGHTED}
            for number in range(n_logs):
                try:
                    found = value_policy(world.log(n, factor, rng), seed=number).target
                except RefusedError:
                    continue
                for name in WEIGHTED:
                    held[name].append(found[name].low <= truth <= found[name].high)
            n_answered = len(held["ips"])
            cell = {name: float(np.mean(one)) for name, one in held.items() if one}
            cells[f"{effective} rounds, {rewards} rewards"] = {
                "rounds": n,
                "logs": n_logs,
                "refused": 1 - n_answered / n_logs,
                **cell,
            }
            # Five standard errors of the share itself below 93%.
            allowed = 5 * math.sqrt(0.07 * 0.93 / max(n_answered, 1))
            assert all(share >= 0.93 - allowed for share in cell.values()), cells
            if rewards == min(REWARDS):
                assert n_answered == 0

    assert len(cells) >= len(N_LOGS) * len(REWARDS) - 1
    proof.record("off-policy-rare-rewards", {"cells": cells})
