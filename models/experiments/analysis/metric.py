"""Metrics of experiments: a mean per unit, or a ratio of two sums over units."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.experiments.analysis.estimate import COVARIATE, DENOMINATOR, NUMERATOR


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean per unit, or a ratio where answers or purchases are counted instead of units.

    Attributes:
        name: Name of the metric.
        text: Description.
        numerator: Column of the units' table that is summed.
        denominator: Column that the sum is divided by; None for the number of units.
        covariate: Column with the same before the first exposure; None if there is none.
        is_share: Whether it is a share of units or of the denominator, at most 1.
    """

    name: str
    text: str
    numerator: str
    denominator: str | None = None
    covariate: str | None = None
    is_share: bool = False

    def columns(self, units: pl.DataFrame) -> NDArray[np.float64]:
        """Return numerator, denominator and covariate of each unit, shape ``(n_units, 3)``."""
        columns = np.zeros((units.height, 3))
        columns[:, NUMERATOR] = units[self.numerator].to_numpy()
        columns[:, DENOMINATOR] = units[self.denominator].to_numpy() if self.denominator else 1.0
        if self.covariate:
            columns[:, COVARIATE] = units[self.covariate].to_numpy()
        return columns


METRICS: Final = (
    Metric(
        "conversion",
        "share of units that bought",
        "bought",
        covariate="bought_before",
        is_share=True,
    ),
    Metric("purchases", "purchases per unit", "purchases", covariate="purchases_before"),
    Metric("revenue", "revenue per unit", "revenue", covariate="revenue_before"),
    Metric("clicks_per_answer", "clicks per answer", "clicks", denominator="answers"),
    Metric("revenue_per_purchase", "revenue per purchase", "revenue", denominator="purchases"),
)
"""All metrics of results; experiments are planned by the first."""
