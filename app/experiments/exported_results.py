"""Results of experiments from exported files, computed in a thread pool and cached."""

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from models.dataset import read_event_log
from models.experiments.analysis.attribution import Rules
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.exposure import read_exposures
from models.experiments.plan.experiment import Experiment, Unit

_FILES: Final = ("events.parquet", "erasures.parquet", "exposures.parquet")

_Key = tuple[str, Unit, Rules, tuple[tuple[int, int], ...]]


class ExportedResults:
    """Computes results, one at a time, and again only after a file or the experiment changed."""

    def __init__(self, directory: Path, *, rules: Rules, pool: Executor) -> None:
        self._directory = directory
        self._rules = rules
        self._pool = pool
        self._alone = asyncio.Lock()
        self._known: dict[str, tuple[_Key, Results]] = {}

    async def for_experiment(
        self, experiment: Experiment, unit: Unit, *, rules: Rules | None = None
    ) -> Results:
        """Return the results of an experiment.

        Raises:
            DatasetError: If there are no events, or they cannot be read.
            ExposureError: If there are no exposures, or they cannot be read.
        """
        read_by = rules or self._rules
        # Alone: an analysis takes seconds and much memory, and two callers mostly ask the same.
        async with self._alone:
            # An export replaces its files, so that no two of its runs leave the same times.
            paths = [path for name in _FILES if (path := self._directory / name).is_file()]
            states = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
            key = experiment.model_dump_json(), unit, read_by, states
            known = self._known.get(experiment.name)
            if known is None or known[0] != key:
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(
                    self._pool,
                    lambda: experiment_results(
                        experiment,
                        read_exposures(self._directory),
                        unit=unit,
                        events=read_event_log(self._directory)[0],
                        rules=read_by,
                    ),
                )
                self._known[experiment.name] = known = key, found
            return known[1]
