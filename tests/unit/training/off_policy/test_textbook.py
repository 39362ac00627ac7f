"""The Open Bandit Dataset by a textbook, written without this project: the same, and its spread.

Estimates lie a quarter to two thirds off the other log. Here is what chance alone would do.
"""

import csv
import gzip
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proofs import Proof
from tests.shared import shared_data
from training.off_policy.bandit import cross_policies

CLIP = 100.0  # the square root of 10,000 rows


@dataclass(frozen=True)
class Row:
    """A sale shown at a position, by a policy that showed it there with a probability."""

    item: int
    position: int
    click: int
    propensity: float


def read(root: Path, policy: str, campaign: str) -> list[Row]:
    with gzip.open(root / policy / campaign / f"{campaign}.csv.gz", "rt", encoding="utf-8") as file:
        return [
            Row(
                int(row["item_id"]),
                int(row["position"]),
                int(row["click"]),
                float(row["propensity_score"]),
            )
            for row in csv.DictReader(file)
        ]


def weights(log: list[Row], other: list[Row], *, is_even: bool) -> list[float]:
    """Ratios of how often the other policy shows an item at a position, whoever looks at it."""
    n_items = 1 + max(row.item for row in log + other)
    shown = Counter((row.item, row.position) for row in other)
    at = Counter(row.position for row in other)
    return [
        min(
            (1 / n_items if is_even else shown[row.item, row.position] / at[row.position])
            / row.propensity,
            CLIP,
        )
        for row in log
    ]


def ratio(above: list[float], below: list[float]) -> tuple[float, float]:
    """A ratio of sums and its standard error by the delta method."""
    value = sum(above) / sum(below)
    squares = sum((a - value * b) ** 2 for a, b in zip(above, below, strict=True))
    return value, math.sqrt(squares) / sum(below)


@pytest.mark.prove
@pytest.mark.parametrize("campaign", ["men", "women"])
def test_errors_are_what_so_few_clicks_make_of_it(campaign: str, proof: Proof) -> None:
    """No estimate lies further off than two standard errors of the two logs together."""
    root = shared_data("open_bandit")
    logs = {policy: read(root, policy, campaign) for policy in ("random", "bts")}
    figures: dict[str, dict[str, float]] = {}
    for one in cross_policies(root, [campaign], seed=0):
        assert one.valuation is not None
        log, other = logs[one.logging], logs[one.target]
        by = weights(log, other, is_even=one.target == "random")
        rewards = [weight * row.click for weight, row in zip(by, log, strict=True)]
        ones = [1.0] * len(log)

        own, own_error = ratio([float(row.click) for row in other], [1.0] * len(other))
        found = {"ips": ratio(rewards, ones), "snips": ratio(rewards, by)}

        assert one.own.value == pytest.approx(own)
        for name, (value, error) in found.items():
            assert one.valuation.target[name].value == pytest.approx(value)
            spread = math.hypot(error, own_error)
            figures[f"{one.target} from {one.logging}: {name}"] = {
                "relative_error": value / own - 1,
                "expected_spread": spread / own,
                "standard_errors": (value - own) / spread,
            }
    proof.record(f"off-policy-textbook-{campaign}", figures)
    assert all(abs(one["standard_errors"]) < 2 for one in figures.values()), figures
