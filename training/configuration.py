"""What a training run may be told; kept in the bundle's manifest."""

import json
import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.catalogue.event_counts import HOUR_US
from models.domain.errors import UserError
from models.ranker.ranker import TreeConfig

MAX_OUTCOME_HOURS: Final = 365 * 24.0


class ConfigurationError(UserError):
    """A configuration file that cannot be used; the message names the file and the value."""


class RunConfig(BaseModel):
    """Hyper-parameters of a training run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trees: TreeConfig = Field(default_factory=TreeConfig, description="The meta-model's trees.")
    through_clicks: bool = Field(
        default=True,
        description="Learn P(opens) and P(buys given opened) where clicks are on record.",
    )
    holdout_share: float = Field(
        default=0.25, gt=0, lt=1, description="Last share of the slates: stopping and calibration."
    )
    negatives_per_visit: int = Field(
        default=20, gt=0, description="Sales sampled a visit where no impressions are on record."
    )
    outcome_hours: float = Field(
        default=24.0,
        gt=0,
        le=MAX_OUTCOME_HOURS,
        description="A purchase is credited to what was shown at most so long before it.",
    )
    caller_orders: bool = Field(
        default=False,
        description="Shown lists were ordered by another system, whose order is a feature.",
    )
    hidden_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the slates learned from once more as if their sales had just opened.",
    )
    max_topics: int = Field(
        default=24, gt=1, description="Topics at most; as many are made as are stable."
    )

    @property
    def outcome_us(self) -> int:
        """``outcome_hours`` in microseconds."""
        return round(self.outcome_hours * HOUR_US)

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read a TOML or JSON file; defaults without one.

        Raises:
            ConfigurationError: If the file cannot be read or holds a wrong value.
        """
        if path is None:
            return cls()
        try:
            text = path.read_text()
            values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
            return cls.model_validate(values)
        except (OSError, ValueError, ValidationError) as exc:
            msg = f"configuration {path}: {exc}"
            raise ConfigurationError(msg) from exc
