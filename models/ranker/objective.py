"""Policies: what sales are ordered by, and what the orders of the meta-model aim at."""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class Objective(StrEnum):
    """What a slate should bring as much of as possible."""

    PURCHASES = "purchases"
    REVENUE = "revenue"
    MARGIN = "margin"


class Policy(StrEnum):
    """Policies that every bundle has; its recommenders are policies under their names too."""

    META = "meta"
    META_REVENUE = "meta-revenue"
    META_MARGIN = "meta-margin"
    LOGISTIC = "logistic"


OBJECTIVES: Final = {
    Policy.META: Objective.PURCHASES,
    Policy.META_REVENUE: Objective.REVENUE,
    Policy.META_MARGIN: Objective.MARGIN,
}
"""What each policy of the meta-model aims at."""

UNKNOWN_WORTH: Final = -1e9
"""What orders at or below say: that the sale's worth is unknown. No purchase loses as much."""


def expected_worth(
    probabilities: NDArray[np.float64], worth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what each sale brings on average, in an order that has a place for the unknown.

    ``p * worth``. Sales of unknown worth follow all others, the most probable first, by
    ``-1e9 / p``, which is below what any purchase can lose.

    Args:
        probabilities: P(buys), in ``(0, 1)``, shape ``(n,)``.
        worth: What a purchase brings, above -1e9, NaN if unknown, shape ``(n,)``.

    Returns:
        Higher is better, no NaN, shape ``(n,)``.
    """
    return np.where(np.isnan(worth), UNKNOWN_WORTH / probabilities, probabilities * worth)


def known_margins(
    margins: NDArray[np.float64], prices: NDArray[np.float64], *, usual_share: float
) -> NDArray[np.float64]:
    """Fill in margins that nobody gave with the usual share of the price.

    Args:
        margins: NaN if unknown, shape ``(n,)``.
        prices: NaN if unknown, shape ``(n,)``.
        usual_share: See `usual_margin_share`.

    Returns:
        Margins, NaN where the price is unknown too, shape ``(n,)``.
    """
    return np.where(np.isnan(margins), prices * usual_share, margins)


def usual_margin_share(margins: NDArray[np.float64], prices: NDArray[np.float64]) -> float:
    """Return the median margin as a share of the price, over sales that tell both.

    1 where none does: sales are then ordered by revenue.
    """
    both = ~np.isnan(margins) & (prices > 0)
    return float(np.median(margins[both] / prices[both])) if both.any() else 1.0
