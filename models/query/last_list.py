"""Last list: the impressions among which a customer last clicked, or bought."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import CART, CLICK, KINDS, PURCHASE
from models.query.customer_history import History
from models.query.impressions import Impressions

# Chosen: a page is scrolled within a minute, and hardly loaded again.
LIST_S: Final = 60.0
"""Impressions of one list lie at most so many seconds apart from that of the chosen sale."""

# By type code.
_IS_CHOICE: Final = np.isin(np.arange(len(KINDS)), [CLICK, CART, PURCHASE])


@dataclass(frozen=True, eq=False)
class LastLists:
    """The last list of each customer.

    Attributes:
        event: Index of the event that chose a sale from the list, -1 without one, shape
            ``(n_customers,)``.
        position: Position of the chosen sale, NaN where unknown, same shape.
        is_in: Whether each impression, by its place, is of its customer's list, ``(n + 1,)``.
        usual_position: Mean position of the sales of all such events, NaN where none is known,
            shape ``(n_customers,)``.
    """

    event: NDArray[np.int64]
    position: NDArray[np.float64]
    is_in: NDArray[np.bool_]
    usual_position: NDArray[np.float64]

    @classmethod
    def from_history(cls, history: History, impressions: Impressions) -> Self:
        """Find the last clicks, carts or purchases of sales that were shown before.

        Args:
            history: Events of the customers.
            impressions: What the same customers were shown.
        """
        owners, place = history.customers.owners, impressions.place
        cells = history.customers.cells(history.rows, place.shape[1])
        shown = place.take(cells)
        # Shown again since: then the list of the choice is not on record. False for NaN.
        chosen = np.flatnonzero(
            _IS_CHOICE[history.kinds] & (impressions.age_s[shown] >= history.age_s)
        )
        event = np.full(history.customers.n_rows, -1)
        # Events are ordered by time: of repeated indices numpy keeps the last assignment.
        event[owners[chosen]] = chosen
        # Place 0, of no impression, where nothing was chosen.
        of_choice = np.where(event >= 0, np.append(shown, 0)[event], 0)
        start_s = impressions.age_s[of_choice].take(impressions.customers.owners)
        near = np.abs(impressions.age_s[1:] - start_s) <= LIST_S
        return cls(
            event=event,
            position=impressions.positions[of_choice],
            is_in=np.concatenate([[False], near]),
            usual_position=_means(
                impressions.positions[shown[chosen]], owners[chosen], n=history.customers.n_rows
            ),
        )


def _means(
    values: NDArray[np.float64], owners: NDArray[np.int64], *, n: int
) -> NDArray[np.float64]:
    """Average the known values of each owner, NaN without one, shape ``(n,)``."""
    known = ~np.isnan(values)
    counts = np.bincount(owners[known], minlength=n)
    sums = np.bincount(owners[known], values[known], minlength=n)
    return sums / np.where(counts > 0, counts, np.nan)
