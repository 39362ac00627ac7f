"""Intervals in JSON, with null for infinite ends."""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class Interval(BaseModel):
    """A value and its interval; null for an unknown value or an infinite end."""

    model_config = ConfigDict(frozen=True)

    value: float | None = None
    low: float | None = Field(default=None, description="Lower end; null: none.")
    high: float | None = Field(default=None, description="Upper end; null: none.")

    @classmethod
    def from_numbers(cls, value: float, low: float, high: float) -> Self:
        """Return an interval, None for numbers that are not finite."""
        known = (part if math.isfinite(part) else None for part in (value, low, high))
        return cls(**dict(zip(("value", "low", "high"), known, strict=True)))
