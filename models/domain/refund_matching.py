"""Matching of refunds with purchases.

A refund takes pieces of the latest purchases of its sale by its customer before it: those with
pieces left, the latest first. Without a quantity it takes the whole of one purchase.
``append_events.lua`` applies the same rule when it receives a refund, and ``history.c`` to the
events of a window.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.domain.customer import ALL_PIECES
from models.domain.event import KINDS, PURCHASE, REFUND, TOUCHES

SHOWS_INTEREST: Final = np.isin(np.arange(len(KINDS)), sorted(TOUCHES))
"""Whether events of each type code show interest in their sale, shape ``(n_kinds,)``."""


@dataclass(slots=True)
class SalePurchases:
    """Purchases of one sale by one customer.

    Attributes:
        left: Index and remaining pieces of each purchase that is not fully refunded, the latest
            at the end.
    """

    left: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def refund(self, quantity: int) -> list[tuple[int, int]]:
        """Take refunded pieces from the latest purchases.

        Args:
            quantity: Pieces, or `ALL_PIECES` of one purchase.

        Returns:
            Index of each purchase that lost pieces, and how many it has left; empty for a refund
            without a purchase.
        """
        changed: list[tuple[int, int]] = []
        while self.left:
            index, pieces = self.left.pop()
            taken = pieces if quantity == ALL_PIECES else min(quantity, pieces)
            changed.append((index, pieces - taken))
            if taken < pieces:
                self.left.append((index, pieces - taken))
            if quantity in {ALL_PIECES, taken}:
                break
            quantity -= taken
        return changed


def refunds_in_order(
    groups: Iterable[object], kinds: Sequence[int], *, quantities: Sequence[int]
) -> Iterable[tuple[int, list[tuple[int, int]]]]:
    """Yield the index of each refund, and what it changed; see `SalePurchases.refund`.

    Args:
        groups: Customer and sale of each event, in the order in which they happened.
        kinds: Type codes.
        quantities: Pieces of purchases, at least 1, and of refunds.
    """
    purchases: defaultdict[object, SalePurchases] = defaultdict(SalePurchases)
    for index, (group, kind) in enumerate(zip(groups, kinds, strict=True)):
        if kind == PURCHASE:
            purchases[group].left.append((index, quantities[index]))
        elif kind == REFUND:
            yield index, purchases[group].refund(quantities[index])
