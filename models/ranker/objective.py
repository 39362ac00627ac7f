"""Objectives of the ranker and the policies that order by them."""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class TrainingObjective(StrEnum):
    """What a bundle is trained for: the outcome of its probabilities, and its default order.

    `VALUE` learns purchases as `PURCHASE` does, and orders by what they are worth.
    """

    CLICK = "click"
    PURCHASE = "purchase"
    VALUE = "value"


class Objective(StrEnum):
    """Quantity that a slate maximises."""

    PURCHASES = "purchases"
    REVENUE = "revenue"
    MARGIN = "margin"


class Policy(StrEnum):
    """Ranking policies of every bundle; its recommenders are policies as well, by their names."""

    META = "meta"
    META_REVENUE = "meta-revenue"
    META_MARGIN = "meta-margin"
    LOGISTIC = "logistic"


OBJECTIVES: Final = {
    Policy.META: Objective.PURCHASES,
    Policy.META_REVENUE: Objective.REVENUE,
    Policy.META_MARGIN: Objective.MARGIN,
}
"""Objective of each policy of the ranker, unless the bundle was trained for value."""

AMOUNTS: Final = {
    Objective.REVENUE: "price × usual size of an order",
    Objective.MARGIN: "margin × usual size of an order",
}
"""Value of a purchase in words, by objective."""

# Chosen: far below any loss of a single purchase.
UNKNOWN_VALUE: Final = -1e9
"""Orders at or below it are of unknown value."""


def expected_value(
    probabilities: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the expected value of showing each sale, ``p * value``.

    Sales of unknown value get ``-1e9 / p``: they follow all others, the most probable first.

    Args:
        probabilities: Of the outcome of the objective, in ``(0, 1)``, shape ``(n,)``.
        values: Value of a purchase, above -1e9, NaN if unknown, shape ``(n,)``.

    Returns:
        Higher is better, no NaN, shape ``(n,)``.
    """
    return np.where(np.isnan(values), UNKNOWN_VALUE / probabilities, probabilities * values)


def known_margins(
    margins: NDArray[np.float64], prices: NDArray[np.float64], *, usual_share: float
) -> NDArray[np.float64]:
    """Impute unknown margins by the usual share of the price.

    Args:
        margins: NaN if unknown, shape ``(n,)``.
        prices: NaN if unknown, shape ``(n,)``.
        usual_share: See `usual_margin_share`.

    Returns:
        Margins, NaN where the price is unknown too, shape ``(n,)``.
    """
    return np.where(np.isnan(margins), prices * usual_share, margins)


def usual_margin_share(margins: NDArray[np.float64], prices: NDArray[np.float64]) -> float:
    """Return the median margin as a share of the price, over sales with both.

    1 if there are none: sales are then ordered by revenue.
    """
    both = ~np.isnan(margins) & (prices > 0)
    return float(np.median(margins[both] / prices[both])) if both.any() else 1.0
