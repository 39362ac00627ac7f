"""Currency check: orders by revenue or margin must not mix several currencies."""

from collections.abc import Iterable
from typing import Final

from models.catalogue.catalogue import closing_us
from models.domain.sale import Sale
from models.experiments.plan.plan import Plan
from models.ranker.objective import OBJECTIVES, Objective

BY_MONEY: Final = frozenset(
    policy.value for policy, aim in OBJECTIVES.items() if aim is not Objective.PURCHASES
)


def mixed_currencies(plan: Plan, sales: Iterable[Sale], *, now_us: int) -> tuple[str, ...]:
    """Return the currencies of the current sales that a plan compares as if they were one.

    Args:
        plan: What slates are ordered by.
        sales: All sales of a store.
        now_us: The store's clock; what is closed by then does not count.

    Returns:
        The currencies, sorted; none where no order is by money, or where all prices that name
        a currency are in one.
    """
    if not plan.orders & BY_MONEY:
        return ()
    current = (sale for sale in sales if closing_us(sale) > now_us)
    found = sorted({sale.currency.upper() for sale in current if sale.currency is not None})
    return tuple(found) if len(found) > 1 else ()
