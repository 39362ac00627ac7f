"""In a world whose truth is exact, 95% intervals contain it in 93 to 97 of 100 logs."""

import math

import numpy as np
import pytest

from tests.proofs import Proof
from tests.unit.training.off_policy.closed_world import (
    N_UNITS,
    VISITS,
    ClosedWorld,
    with_model,
)
from training.off_policy.estimator import ESTIMATORS
from training.off_policy.policy_value import value_policy
from training.statistics.bootstrap import Interval

N_LOGS = 2_000
"""Of 500 logs the share itself has a standard error of one hundredth, of these half of that."""
AT_LEAST = 20
WRONG = 1.5
"""Factor of a model that promises half as much again as is true."""
BLIND = "dm, wrong model"
MODELLED = ("dm", "dr", "cascade-dr")
"""Estimators that use the model."""


def summary(intervals: list[Interval], truth: float) -> dict[str, float]:
    """How often intervals contain the truth, how far estimates lie off, how wide they are."""
    values = np.array([one.value for one in intervals])
    return {
        "coverage": float(np.mean([one.low <= truth <= one.high for one in intervals])),
        "bias": float(values.mean() - truth) / truth,
        "rmse": float(np.sqrt(np.mean((values - truth) ** 2))) / truth,
        "width": float(np.mean([one.high - one.low for one in intervals])) / truth,
    }


@pytest.mark.prove
def test_intervals_cover_the_truth(proof: Proof) -> None:
    """Also with a wrong model, save for the estimator that is nothing but the model."""
    world, rng = ClosedWorld.drawn(4), np.random.default_rng(5)
    n_logs = max(AT_LEAST, proof.scale(N_LOGS))
    found: dict[str, list[Interval]] = {}
    effective: list[float] = []
    for number in range(n_logs):
        log = world.log(rng)
        right = value_policy(log, seed=number)
        wrong = value_policy(with_model(log, WRONG), seed=number)
        effective.append(right.support.effective[-1])
        for name in ESTIMATORS:
            found.setdefault(name, []).append(right.target[name])
        for name in MODELLED:
            found.setdefault(f"{name}, wrong model", []).append(wrong.target[name])

    figures = {name: summary(intervals, world.truth) for name, intervals in found.items()}

    allowed = max(0.02, 5 * math.sqrt(0.05 * 0.95 / n_logs))
    off = {name: abs(figure["coverage"] - 0.95) for name, figure in figures.items()}
    assert figures[BLIND]["coverage"] < 0.05
    assert all(distance <= allowed for name, distance in off.items() if name != BLIND), figures
    sizes = {
        "logs": n_logs,
        "units": N_UNITS,
        "visits": VISITS,
        "effective": float(np.mean(effective)),
    }
    proof.record("off-policy-coverage", {**sizes, "truth": world.truth, "estimators": figures})
