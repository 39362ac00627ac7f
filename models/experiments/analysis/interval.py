"""A value and its interval as JSON can say them."""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from models.experiments.analysis.estimate import Interval


class Span(BaseModel):
    """A value and its interval; null is what is unknown, or an end without bound."""

    model_config = ConfigDict(frozen=True)

    value: float | None = None
    low: float | None = Field(default=None, description="Lower end; null: none.")
    high: float | None = Field(default=None, description="Upper end; null: none.")

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """Return an interval with null for what is not finite."""
        value, low, high = (part if math.isfinite(part) else None for part in interval)
        return cls(value=value, low=low, high=high)

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside."""
        return (self.low is not None and self.low > 0) or (self.high is not None and self.high < 0)
