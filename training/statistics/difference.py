"""Difference of a scorer to a reference, and its verdict."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from training.statistics.bootstrap import Interval

ALPHA: Final = 0.05
"""The level of the 95% intervals."""


class Verdict(StrEnum):
    """Result of a paired comparison."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Difference:
    """A scorer against a reference, slate by slate.

    Attributes:
        interval: Mean of its metric minus the reference's, with its 95% interval.
        p: Two-sided, adjusted by Holm's method over the scorers compared on this metric; NaN of
            slates of one customer.
    """

    interval: Interval
    p: float

    @property
    def verdict(self) -> Verdict:
        """Better or worse if the interval excludes 0 and the adjusted p is below 5%, else open."""
        # "Not below" holds for NaN too, the p-value of nothing and of one customer.
        if not self.p < ALPHA or self.interval.low <= 0 <= self.interval.high:
            return Verdict.OPEN
        return Verdict.BETTER if self.interval.value > 0 else Verdict.WORSE
