"""Rule budgets: a rule stops for all workers once it has cost what it may."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Final

from app.observability import get_logger
from app.recommend.changed_rules import ChangedRules
from app.stores.rule_spending import RuleSpending
from models.rules.rule import SlateRule, SlateRules
from models.slate.rule_price import PRICED_SHARE, RulePrice
from models.slate.slate_policy import SlatePolicy

_log: Final = get_logger(__name__)


class RuleBudgets:
    """Counts the prices of rules with a budget, and takes rules that have spent it out."""

    def __init__(
        self, store: RuleSpending, *, worker: str, rules: Callable[[], Iterable[SlateRules]]
    ) -> None:
        """Begin without knowing what was spent.

        Args:
            store: What all workers counted.
            worker: Name of this one.
            rules: Returns the rules of all policies of the plan.
        """
        self._store = store
        self._worker = worker
        self._rules = rules
        self._prices: defaultdict[str, float] = defaultdict(float)
        self._unsent: tuple[str, Mapping[str, float]] | None = None
        self._spent: Mapping[str, float] = {}
        self._changed = ChangedRules()

    def spent(self, name: str) -> float:
        """Return the expected outcomes that a rule has cost so far, by the last look."""
        return self._spent.get(name, 0.0)

    def is_stopped(self, rule: SlateRule) -> bool:
        """Return whether a rule has cost what it may."""
        return rule.budget is not None and self.spent(rule.name) >= rule.budget

    def applied(self, policy: SlatePolicy) -> SlatePolicy:
        """Return a policy without the rules that have spent their budget."""
        stopped = frozenset(rule.name for rule in policy.rules.root if self.is_stopped(rule))
        if not stopped:
            return policy
        return self._changed.applied(policy, stopped, change=lambda rules: rules.without(stopped))

    def record(self, prices: Iterable[RulePrice]) -> None:
        """Count the prices of an answer, which stands for all that are not priced."""
        for price in prices:
            if not price.dry_run:
                self._prices[price.rule] += price.outcomes / PRICED_SHARE

    async def follow(self) -> None:
        """Send what was counted and read what all workers counted, as a background task.

        Raises:
            StoreUnavailableError: If the store does not answer; the next round continues.
        """
        budgeted = {
            rule.name for rules in self._rules() for rule in rules.root if rule.budget is not None
        }
        if self._unsent is None:
            counted = {name: n for name, n in self._prices.items() if name in budgeted}
            self._prices.clear()
            # An unacknowledged batch goes again under its own id: the store adds it once.
            self._unsent = (token_hex(8), counted) if counted else None
        if self._unsent is not None:
            batch_id, counted = self._unsent
            await self._store.add(counted, worker=self._worker, batch_id=batch_id)
            self._unsent = None
        if not budgeted:
            return
        found = await self._store.read()
        lost = {name: n for name, n in self._spent.items() if name not in found}
        if lost:
            await self._store.restore(lost)
            found |= lost
        before, self._spent = self._spent, found
        for rule in (rule for rules in self._rules() for rule in rules.root):
            if self.is_stopped(rule) and before.get(rule.name, 0.0) < (rule.budget or 0.0):
                _log.warning("a rule has spent its budget and stops", rule=rule.name)
