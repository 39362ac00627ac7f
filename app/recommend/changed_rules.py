"""Changed rules: those of a policy as an answer applies them, made once while nothing changes."""

from collections.abc import Callable, Hashable

from models.rules.rule import SlateRules
from models.slate.slate_policy import SlatePolicy


class ChangedRules:
    """Keeps the rules that were made last."""

    def __init__(self) -> None:
        self._last: tuple[SlateRules, Hashable, SlateRules] | None = None

    def applied(
        self, policy: SlatePolicy, by: Hashable, *, change: Callable[[SlateRules], SlateRules]
    ) -> SlatePolicy:
        """Return a policy with changed rules.

        Args:
            policy: The policy.
            by: What they are changed by: equal values change the same rules equally.
            change: Makes the changed rules.
        """
        last = self._last
        if last is None or last[0] is not policy.rules or last[1] != by:
            last = self._last = policy.rules, by, change(policy.rules)
        return policy.model_copy(update={"rules": last[2]})
