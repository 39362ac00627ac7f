"""Intervals in JSON, with null for infinite ends."""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class Interval(BaseModel):
    """A value and its interval; null for an unknown value or an infinite end."""

    model_config = ConfigDict(frozen=True)

    value: float | None = None
    low: float | None = Field(default=None, description="Lower end; null: none.")
    high: float | None = Field(default=None, description="Upper end; null: none.")

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """1 if all of it lies above 0, -1 if all lies below, 0 if it contains 0 or is unknown."""
        if self.low is not None and self.low > 0:
            return 1
        return -1 if self.high is not None and self.high < 0 else 0

    @classmethod
    def from_numbers(cls, value: float, low: float, high: float) -> Self:
        """Return an interval, None for numbers that are not finite."""
        known = (part if math.isfinite(part) else None for part in (value, low, high))
        return cls(**dict(zip(("value", "low", "high"), known, strict=True)))
