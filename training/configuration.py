"""Hyper-parameters of a training run, kept in the bundle's manifest, and its other options."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.arrays.atomic_file import write_file
from models.arrays.document import read_json
from models.catalogue.event_counts import HALF_LIVES_HOURS, RETENTION_HOURS, HalfLives
from models.dataset.events_by_part import ReadingByPart
from models.domain.errors import UserError, reason_for
from models.domain.units import HOUR_US
from models.ranker.forest import MAX_LEAVES
from models.ranker.objective import TrainingObjective

MAX_OUTCOME_HOURS: Final = 365 * 24.0  # beyond a year a value is rather a mistake in its unit


class ConfigurationError(UserError):
    """A configuration file that cannot be used; the message names the file and the value."""


class SceneNetwork(StrEnum):
    """A network for scenes whose weights are installed."""

    LITE0 = "efficientnet-lite0"
    LITE2 = "efficientnet-lite2"


class TreeConfig(BaseModel):
    """Hyper-parameters of the trees."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Trees are small because they only add to a line (decisions 0019 and 0024). All are chosen;
    # `training tune` compares others on a dataset.
    max_trees: int = Field(default=600, gt=0, description="Trees at most; stopping keeps fewer.")
    leaves: int = Field(default=7, gt=1, le=MAX_LEAVES, description="Leaves of a tree.")
    learning_rate: float = Field(default=0.04, gt=0, le=1, description="Weight of a tree.")
    min_rows_per_leaf: int = Field(default=300, gt=0, description="Examples that a leaf needs.")
    l2: float = Field(default=50.0, ge=0, description="Shrinks leaves of few purchases.")
    feature_share: float = Field(
        default=0.6, gt=0, le=1, description="Share of the features that a tree may use."
    )
    row_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of the examples that a tree is fitted on."
    )
    patience: int = Field(
        default=60, gt=0, description="Trees without a better held-out log loss before it stops."
    )


def four_half_lives(given: object) -> list[float]:
    """Read half-lives of popularity, numbers or texts.

    Raises:
        ValueError: If they are not four numbers.
    """
    values = cast("Sequence[object]", given) if isinstance(given, list | tuple) else [given]
    try:
        numbers = [float(str(one)) for one in values]
    except ValueError:
        numbers = []
    if len(numbers) != len(HALF_LIVES_HOURS):
        usual = " ".join(f"{hours:g}" for hours in HALF_LIVES_HOURS)
        found = " ".join(map(str, values))
        msg = f"half-lives are four numbers of hours, such as {usual}, got {found}"
        raise ValueError(msg)
    return numbers


class RunConfig(BaseModel):
    """Hyper-parameters of a training run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trees: TreeConfig = Field(default_factory=TreeConfig, description="The meta-model's trees.")
    objective: TrainingObjective | None = Field(
        default=None,
        description="`click`, `purchase` or `value`; by default `purchase`, or `click` where fewer "
        "than 20 purchases are on record.",
    )
    through_clicks: bool = Field(
        default=True,
        description="Learn P(opens) and P(buys given opened) where clicks are on record.",
    )
    # Chosen: with a quarter, a demo-size world of 1,000 purchases stops on about 250.
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
    sample: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the customers whose slates the ranker learns from; counts and "
        "recommenders are of all.",
    )
    scene_network: SceneNetwork = Field(
        default=SceneNetwork.LITE0,
        description="Network of the scene labeller: `efficientnet-lite0`, or `efficientnet-lite2`, "
        "which is slower and labels better.",
    )
    max_topics: int = Field(
        default=24, gt=1, description="Topics at most; as many are made as are stable."
    )
    half_lives_hours: HalfLives = Field(
        default=HALF_LIVES_HOURS,
        description="Half-lives of counts, by which `popularity` measures rates and volumes: four, "
        "ascending, of at most 336 hours.",
    )

    @field_validator("half_lives_hours", mode="before")
    @classmethod
    def _are_four(cls, given: object) -> object:
        return four_half_lives(given)

    @field_validator("half_lives_hours")
    @classmethod
    def _ascend(cls, half_lives: HalfLives) -> HalfLives:
        bounds = zip((0.0, *half_lives), half_lives, strict=False)
        # Counts are kept for so long: events of a longer half-life would be missing.
        if not all(low < high <= RETENTION_HOURS for low, high in bounds):
            msg = f"half-lives have to ascend, from above 0 to at most {RETENTION_HOURS} hours"
            raise ValueError(msg)
        return half_lives

    @property
    def outcome_us(self) -> int:
        """``outcome_hours`` in microseconds."""
        return round(self.outcome_hours * HOUR_US)

    @classmethod
    def read(cls, path: Path | None, **options: object) -> Self:
        """Read a TOML or JSON file; defaults without one.

        Args:
            path: The file.
            options: Values by key that go before those of the file; None is no value.

        Raises:
            ConfigurationError: If the file cannot be read, or it or an option is a wrong value.
        """
        given = {key: value for key, value in options.items() if value is not None}
        try:
            found = cls() if path is None else cls.model_validate(_read_values(path))
            return cls.model_validate(found.model_dump() | given)
        except (OSError, ValueError, ValidationError) as exc:
            msg = f"configuration {path or 'by options'}: {reason_for(exc)}"
            raise ConfigurationError(msg) from exc


def _read_values(path: Path) -> object:
    text = path.read_text()
    return read_json(text) if path.suffix == ".json" else tomllib.loads(text)


def write_config(path: Path, config: RunConfig) -> None:
    """Write a configuration as `RunConfig.read` reads it."""
    write_file(path, (json.dumps(config.model_dump(mode="json"), indent=2) + "\n").encode())


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of a training run beside its data.

    Attributes:
        config: Hyper-parameters.
        seed: Seed of every random choice.
        threads: Threads that decode pictures and fit trees; the bundle is the same for any number.
        scratch: Folder of large arrays while they are used; None: they are in memory.
        n_parts: Parts in which customers are read, and taken by workers; None: by the size of the
            dataset.
        scheduler: Address of the Dask scheduler whose workers compute features; None: see next.
        n_processes: Processes of this machine that do; None: the command alone, without a
            scheduler.
    """

    config: RunConfig
    seed: int = 0
    threads: int = 1
    scratch: Path | None = None
    n_parts: int | None = None
    scheduler: str | None = None
    n_processes: int | None = None

    @property
    def on_workers(self) -> bool:
        """Whether workers compute features."""
        return self.scheduler is not None or self.n_processes is not None

    @property
    def by_part(self) -> ReadingByPart | None:
        """How a large log is read; None, whole, without a folder for it."""
        return None if self.scratch is None else ReadingByPart(self.scratch, self.n_parts)
