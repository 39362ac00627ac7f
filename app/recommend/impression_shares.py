"""Impression shares: keeps the guaranteed share of each campaign, over the answers of this worker.

Each worker keeps the share of its own answers, so that the share of all is kept without a store.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

from app.observability import RuleMetrics
from app.recommend.changed_rules import ChangedRules
from app.recommend.ranking import Ranking
from models.rules.rule import Share, SlateRule
from models.slate.slate_policy import SlatePolicy

# Of the worth of an impression. Chosen: answers of one worth share their rules and conditions.
_DIGITS: Final = 2

# Campaigns that are counted: a process outlives many plans. Chosen.
MAX_CAMPAIGNS: Final = 200


@dataclass(slots=True)
class Delivered:
    """Impressions of the answers in which a campaign held.

    Attributes:
        n_all: Impressions of all sales.
        n_own: Those of the campaign's.
        sum_probabilities: Sum of the probabilities of all.
    """

    n_all: int = 0
    n_own: int = 0
    sum_probabilities: float = 0.0

    def worth(self, share: float) -> float:
        """Return what an impression may cost now, in expected outcomes.

        Dual ascent on the share: the impressions that are missing, times a step that falls with the
        square root of all, in units of the mean probability.
        """
        if not self.n_all:
            return 0.0
        missing = share * self.n_all - self.n_own
        mean = self.sum_probabilities / self.n_all
        return min(max(mean * missing / sqrt(self.n_all), 0.0), 1.0)


class ImpressionShares:
    """Sets what an impression of each campaign may cost, and counts what was delivered."""

    def __init__(self, metrics: RuleMetrics) -> None:
        """Begin without an answer."""
        self._metrics = metrics
        self._delivered: dict[str, Delivered] = {}
        self._changed = ChangedRules()

    def applied(self, policy: SlatePolicy) -> SlatePolicy:
        """Return a policy whose campaigns may cost what their shares need now."""
        worths = tuple(map(self._worth, policy.rules.root))
        if not any(worths):
            return policy
        return self._changed.applied(policy, worths, change=lambda rules: rules.worth(worths))

    def record(self, ranking: Ranking) -> None:
        """Count an answer, of a page its first row, for the campaigns that held in it."""
        items = ranking.slate[: ranking.rows[0].n_items] if ranking.rows else ranking.slate
        for name, n_own in ranking.shares:
            if name not in self._delivered and len(self._delivered) >= MAX_CAMPAIGNS:
                continue
            delivered = self._delivered.setdefault(name, Delivered())
            delivered.n_all += len(items)
            delivered.n_own += n_own
            self._metrics.record_share(name, n_own=n_own, n_all=len(items))
            delivered.sum_probabilities += sum(one.purchase_probability or 0.0 for one in items)

    def _worth(self, rule: SlateRule) -> float:
        delivered = self._delivered.get(rule.name)
        if delivered is None or rule.dry_run or not isinstance(rule.action, Share):
            return 0.0
        return float(f"{delivered.worth(rule.action.of):.{_DIGITS}g}")
