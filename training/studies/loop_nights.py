"""Nights of a closed loop: train a ranker, judge it by the publishing gate, refit recommenders."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.reading import read_dataset
from models.domain.event import from_us
from models.domain.units import DAY_US, HOUR_US, SECOND_US
from models.experiments.exposure import FILE
from models.experiments.exposure_record import FILE_COLUMNS
from models.ranker.objective import TrainingObjective
from models.scoring.bundle import read_manifest, write_bundle
from models.scoring.night_record import NightVerdict
from training.configuration import RunConfig, TrainingOptions
from training.console import Progress
from training.nightly.champion import CANDIDATES
from training.nightly.comparison import BundleComparison
from training.nightly.night import Night
from training.nightly.refit import refitted
from training.nightly.run import run_night
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import train
from training.pipeline.training_data import cut

TRAINED: Final = "trained"
REFITTED: Final = "refitted"

# Purchases are what the loop is judged by, however few there are.
CONFIG: Final = RunConfig(objective=TrainingObjective.PURCHASE)
# The nightly command's default.
_JUDGED_US: Final = 72 * HOUR_US


@dataclass(frozen=True, slots=True)
class LoopNight:
    """Outcome of a night.

    Attributes:
        bundle: What serves the next day.
        verdict: The gate's verdict, or `TRAINED` or `REFITTED`.
        awaiting: Bundle that needs traffic to be judged; None without.
    """

    bundle: Path
    verdict: str
    awaiting: Path | None = None

    @property
    def n_calibrating(self) -> float:
        """Purchases that calibrated the bundle."""
        return float(str(read_manifest(self.bundle).metrics["n_holdout_outcomes"]))


@dataclass(eq=False)
class LoopNights:
    """Nights of one log.

    All nights but the first train as those of the product do: without the last 72 hours, which
    judge the ranker, and then its recommenders are refitted on all.

    Attributes:
        data: Folder of the dataset, as it is on the night.
        folder: Where bundles and state are written.
        cache: Picture features and scene models.
        seed: Of trainings.
        threads: Of trainings.
        is_gated: Whether what is trained has to pass the publishing gate, as all but the first.
        judged: Bundle whose ranker serves, before its recommenders were refitted.
        answers: Recorded answers, a frame a day.
    """

    data: Path
    folder: Path
    cache: Path
    seed: int
    threads: int
    is_gated: bool
    judged: Path | None = None
    answers: list[pl.DataFrame] = field(default_factory=list)

    @property
    def bundles(self) -> Path:
        """Directory of bundles."""
        return self.folder / "bundles"

    def train(self, until_us: int, *, progress: Progress) -> LoopNight:
        """Train a ranker on what was received until a moment."""
        if self.judged is None:
            self.judged = self._trained(until_us, progress=progress)
            return LoopNight(self.judged, TRAINED)
        if not self.is_gated:
            self.judged = self._trained(until_us - _JUDGED_US, progress=progress)
            return LoopNight(self._refitted(until_us), TRAINED)
        if self.answers:
            pl.concat(self.answers).write_parquet(self.data / FILE)
        outcome = run_night(self._night(until_us), progress=progress)
        if outcome.published is None:
            return LoopNight(self._refitted(until_us), outcome.verdict.value)
        if outcome.verdict is NightVerdict.PUBLISHED:
            self.judged = self.folder / "state" / CANDIDATES / str(outcome.candidate)
        awaiting = None if outcome.awaiting is None else self.bundles / outcome.awaiting
        return LoopNight(self.bundles / outcome.published, outcome.verdict.value, awaiting)

    def _trained(self, until_us: int, *, progress: Progress) -> Path:
        options = TrainingOptions(config=CONFIG, seed=self.seed, threads=self.threads)
        source = DataOptions(directory=self.data, cache=self.cache, until=from_us(until_us))
        prepared = prepare(source, options, progress=progress)
        return train(prepared, options, root=self.bundles, progress=progress)

    def refit(self, until_us: int) -> LoopNight:
        """Refit the recommenders of the ranker that serves."""
        return LoopNight(self._refitted(until_us), REFITTED)

    def promote(self, awaiting: Path) -> None:
        """Let the ranker of a bundle serve from the next night on."""
        self.judged = self.folder / "state" / CANDIDATES / read_manifest(awaiting).judged_as

    def known_until(self, until_us: int) -> BundleComparison:
        """Return what is known at a moment, for `refitted` and for services."""
        dataset = cut(read_dataset(self.data), until_us)
        return BundleComparison(dataset, until_us - DAY_US, until_us, CONFIG, self.seed, self.cache)

    def _refitted(self, until_us: int) -> Path:
        if self.judged is None:
            msg = "no ranker was trained yet"
            raise ValueError(msg)
        bundle = refitted(self.judged, self.known_until(until_us))
        return write_bundle(self.bundles, bundle.manifest, files=bundle.files)

    def _night(self, until_us: int) -> Night:
        return Night(
            data=self.data,
            bundles=self.bundles,
            profiles=self.folder / "profiles",
            state=self.folder / "state",
            cache=self.cache,
            scenes=None,
            champion=None,
            config=CONFIG,
            evaluation_us=_JUDGED_US,
            now_us=until_us + SECOND_US,
            max_fault_share=0.0,
            seed=self.seed,
            threads=self.threads,
        )


def recorded(
    bundle_id: str, slates: pl.DataFrame, *, exploration: str | None, limit: int
) -> pl.DataFrame:
    """Return answers as the service records them, without what no night reads.

    Args:
        bundle_id: Bundle that made them.
        slates: ``recommendation_id``, ``customer_id``, ``now`` and ``slate``, a row an answer.
        exploration: JSON of the exploration.
        limit: Sales asked for.
    """
    constant: dict[str, object] = {
        "limit": limit,
        "exclude": [],
        "excluded_unknown": 0,
        "candidates_unknown": 0,
        "candidates_ordered": False,
        "window": b"",
        "profile": b"",
        "snapshot_id": "",
        "bundle_id": bundle_id,
        "plan_version": 0,
        "assignments": [],
        "order_by": "meta",
        "diversity": 0.0,
        "exploration": exploration,
        "feature_hash": "",
        "took_us": 0,
        "versions": [],
        "listed": [],
        "rule_prices": [],
        "rows": [],
    }
    rows = [{**constant, **row} for row in slates.iter_rows(named=True)]
    return pl.DataFrame(rows, schema=FILE_COLUMNS)
