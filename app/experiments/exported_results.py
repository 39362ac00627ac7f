"""Results of experiments from exported files, computed in a thread pool and cached."""

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, Protocol, TypeVar

import polars as pl

from models.dataset import read_event_log
from models.dataset.events import EventTable
from models.experiments.analysis.interleaving import InterleavingResults, interleaving_results
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.exposure import read_exposures
from models.experiments.plan.experiment import Experiment, Unit

_FILES: Final = ("events.parquet", "erasures.parquet", "exposures.parquet")

# The experiment by its terms, its unit, and the state of each file.
_Key = tuple[str, Unit, tuple[tuple[int, int], ...]]

Found = TypeVar("Found")
FoundCo = TypeVar("FoundCo", covariant=True)


class Analysis(Protocol[FoundCo]):
    """Computes the results of an experiment from exported tables."""

    def __call__(
        self,
        experiment: Experiment,
        exposures: pl.DataFrame,
        *,
        unit: Unit,
        events: EventTable,
    ) -> FoundCo:
        """Return the results."""
        ...


class ExportedResults:
    """Computes results, one at a time, and again only after a file or the experiment changed."""

    def __init__(self, directory: Path, *, pool: Executor) -> None:
        self._directory = directory
        self._pool = pool
        self._alone = asyncio.Lock()
        self._by_shares: dict[str, tuple[_Key, Results]] = {}
        self._interleaved: dict[str, tuple[_Key, InterleavingResults]] = {}

    async def for_experiment(self, experiment: Experiment, unit: Unit) -> Results:
        """Return the results of an A/B test.

        Raises:
            DatasetError: If there are no events, or they cannot be read.
            ExposureError: If there are no exposures, or they cannot be read.
        """
        return await self._current(experiment, unit, experiment_results, known=self._by_shares)

    async def for_interleaving(self, experiment: Experiment, unit: Unit) -> InterleavingResults:
        """Return the results of an interleaving; raises as `for_experiment`."""
        return await self._current(experiment, unit, interleaving_results, known=self._interleaved)

    async def _current(
        self,
        experiment: Experiment,
        unit: Unit,
        analyse: Analysis[Found],
        *,
        known: dict[str, tuple[_Key, Found]],
    ) -> Found:
        # Alone: an analysis takes seconds and much memory, and two callers mostly ask the same.
        async with self._alone:
            # An export replaces its files, so that no two of its runs leave the same times.
            paths = [path for name in _FILES if (path := self._directory / name).is_file()]
            states = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
            key = experiment.model_dump_json(), unit, states
            before = known.get(experiment.name)
            if before is not None and before[0] == key:
                return before[1]
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(
                self._pool,
                lambda: analyse(
                    experiment,
                    read_exposures(self._directory),
                    unit=unit,
                    events=read_event_log(self._directory)[0],
                ),
            )
            known[experiment.name] = key, found
            return found
