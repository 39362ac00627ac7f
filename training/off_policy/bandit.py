"""Off-policy estimates on the Open Bandit Dataset: each policy from the log of the other.

Neither log says what the other policy would have done in its contexts. The target policy is
therefore the one that shows each item at each position as often as the other log shows it,
in any context: an estimate of the other policy without its choice by context. Where the
other policy draws evenly, that is known and not estimated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.importers.open_bandit import POLICIES, BanditLog, read_bandit_log
from training.off_policy.estimator import clipped, independent_positions, logged_value
from training.off_policy.policy_value import Valuation, intervals, value_policy
from training.off_policy.rounds import Rounds
from training.off_policy.support import RefusedError
from training.statistics.bootstrap import Interval, wilson_interval

_EVEN = "random"
# Chosen, not measured: an item with more impressions is predicted by its own rate rather.
_PRIOR_IMPRESSIONS = 200.0
# These logs hold 46 to 69 clicks, worth 16 and more. The other log shows how far off an estimate
# is, so that few clicks are no reason to refuse one.
_MIN_REWARDED = 2.0
_FOLDS = 2  # the fewest that leave an item's own click out
# With one position these are ips, snips and dr under other names.
_OF_SLATES = ("rips", "cascade-dr")


@dataclass(frozen=True, slots=True)
class Crossing:
    """Cross-estimate: a policy's click rate from its own log and from the other's.

    Attributes:
        campaign: Part of the shop.
        logging: Policy whose log was used.
        target: Policy that is valued.
        own: Click rate of the target policy in its own log, with Wilson's interval.
        valuation: From the other log; None if refused.
        refusal: Why it was refused.
    """

    campaign: str
    logging: str
    target: str
    own: Interval
    valuation: Valuation | None
    refusal: str | None

    def relative_errors(self) -> dict[str, float]:
        """Return how far each estimate lies from the own log's rate, as a share of it."""
        found = self.valuation.target if self.valuation else {}
        return {name: one.value / self.own.value - 1 for name, one in found.items()}


def cross_policies(root: Path, campaigns: Sequence[str], *, seed: int) -> list[Crossing]:
    """Value each policy from the other's log, campaign by campaign.

    Args:
        root: Folder of the dataset.
        campaigns: Those to judge.
        seed: Seed of the resamples.

    Raises:
        BanditLogError: If a log is missing or faulty.
    """
    found: list[Crossing] = []
    for campaign in campaigns:
        logs = {
            policy: read_bandit_log(root, policy=policy, campaign=campaign) for policy in POLICIES
        }
        for logging, target in (POLICIES, POLICIES[::-1]):
            own = wilson_interval(int(logs[target].clicks.sum()), len(logs[target]))
            valuation, refusal = _cross(
                logs[logging], logs[target], is_even=target == _EVEN, seed=seed
            )
            found.append(Crossing(campaign, logging, target, own, valuation, refusal))
    return found


def _cross(
    log: BanditLog, other: BanditLog, *, is_even: bool, seed: int
) -> tuple[Valuation | None, str | None]:
    n_items = 1 + max(int(log.items.max()), int(other.items.max()))
    n_positions = 1 + max(int(log.positions.max()), int(other.positions.max()))
    shape = (n_positions, n_items)
    counts = np.zeros(shape)
    np.add.at(counts, (other.positions, other.items), 1.0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    target = np.full(shape, 1 / n_items) if is_even else shares
    rounds = bandit_rounds(log, target)
    try:
        valuation = value_policy(rounds, seed=seed, min_rewarded=_MIN_REWARDED)
    except RefusedError as exc:
        return None, str(exc)
    # Rows of one position: an estimator of independent positions in place of those of slates.
    weights = clipped(rounds.weights, valuation.support.clip)
    terms = {"iips": independent_positions(rounds, weights, positions=log.positions)}
    _, own, difference = intervals(
        logged_value(rounds),
        terms,
        units=rounds.units,
        effective=valuation.support.effective[-1],
        seed=seed,
    )
    kept = [name for name in valuation.target if name not in _OF_SLATES]
    found = replace(
        valuation,
        target={name: valuation.target[name] for name in kept} | own,
        difference={name: valuation.difference[name] for name in kept} | difference,
    )
    return found, None


def bandit_rounds(log: BanditLog, target: NDArray[np.float64]) -> Rounds:
    """Return a log's rows as rounds of one position, each a unit of its own.

    The model is each item's click rate in the other half of the log, shrunk towards that
    half's rate by 200 impressions.

    Args:
        log: The log.
        target: Probability of each item at each position, shape ``(n_positions, n_items)``.
    """
    # In turn: both halves cover all days of the log.
    fold = np.arange(len(log)) % _FOLDS
    n_items = target.shape[1]
    rates = np.empty((_FOLDS, n_items))
    for one in range(_FOLDS):
        # Out of fold: an item's own click must not raise the rate that it is predicted by.
        items, clicks = log.items[fold != one], log.clicks[fold != one]
        shown = np.bincount(items, minlength=n_items)
        clicked = np.bincount(items, weights=clicks, minlength=n_items)
        prior = _PRIOR_IMPRESSIONS * float(clicks.mean())
        rates[one] = (clicked + prior) / (shown + _PRIOR_IMPRESSIONS)
    direct = (target[log.positions] * rates[fold]).sum(axis=1)
    return Rounds(
        rewards=log.clicks[:, None],
        logging=log.propensities[:, None],
        target=target[log.positions, log.items][:, None],
        predicted=rates[fold, log.items][:, None],
        expected=direct[:, None],
        direct=direct[:, None],
        units=np.arange(len(log)),
    )
