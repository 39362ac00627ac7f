"""Intervals in JSON, with null for infinite ends."""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from models.experiments.analysis.estimate import Interval


class Span(BaseModel):
    """A value and its interval; null for an unknown value or an infinite end."""

    model_config = ConfigDict(frozen=True)

    value: float | None = None
    low: float | None = Field(default=None, description="Lower end; null: none.")
    high: float | None = Field(default=None, description="Upper end; null: none.")

    @classmethod
    def from_interval(cls, interval: Interval) -> Self:
        """Return an interval, None for values that are not finite."""
        value, low, high = (part if math.isfinite(part) else None for part in interval)
        return cls(value=value, low=low, high=high)
