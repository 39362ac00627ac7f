"""Time and memory of a training run, and how they grow with the log.

Question: seconds, processor seconds and peak memory of every stage from reading to the bundle, with
pictures new and known, and slates a second in replay, for 0.1, 1 and 5 million events.

Method: the standard world with 1,200 customers and 30 days makes 100,000 events of 1,147 sales. A
longer log repeats every customer under other names, so that events grow and sales do not. Every
size runs in a process of its own, whose peak memory is that of the size; one thread. Replay takes
the slates from the middle of the log: windows alone, whole queries, and features.
``VITRINE_BENCH_EVENTS`` sets the sizes; ``100000`` if unset; several as ``100000,1000000,5000000``.

`make bench` sets one thread for all libraries: without, those of OpenBLAS count as processor time.

Last numbers: see docs/training.md.
"""

import os
import resource
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.results import write_result
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from tests.worlds import END_US
from training.configuration import RunConfig, TrainingOptions
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.refit import fit_recommenders
from training.examples.replay import WindowReplay
from training.examples.sampled_slates import training_slates
from training.pipeline.bundle_parts import seed_snapshot
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import train
from training.pipeline.training_data import TrainingData
from training.recommenders.interactions import Interactions
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

SIZES = [int(size) for size in os.environ.get("VITRINE_BENCH_EVENTS", "100000").split(",")]
N_CUSTOMERS, N_DAYS, N_EVENTS = 1_200, 30, 100_000
N_REPLAYED = 5_000

Figures = dict[str, float]


class Stages:
    """Progress that takes the time of every stage."""

    def __init__(self) -> None:
        self.figures: dict[str, Figures] = {}
        self._begin("reading")

    def stage(self, name: str, total: int | None = None) -> None:
        """End the stage that runs, and begin another."""
        del total
        self.end()
        self._begin(name)

    def tick(self) -> None:
        """Record nothing."""

    def end(self) -> None:
        """End the stage that runs."""
        self.figures[self._name] = {
            "s": round(time.perf_counter() - self._started_s, 2),
            "cpu_s": round(time.process_time() - self._started_cpu_s, 2),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }

    def _begin(self, name: str) -> None:
        self._name = name
        self._started_s, self._started_cpu_s = time.perf_counter(), time.process_time()


def repeated(source: Path, target: Path, *, times: int) -> Path:
    """Write a dataset in which every customer occurs ``times`` times, under different ids."""
    for name in ("images", "scenes"):
        shutil.copytree(source / name, target / name, copy_function=os.link)
    shutil.copy(source / "sales.parquet", target)
    events = pl.read_parquet(source / "events.parquet")
    names = ("event_id", "customer_id", "session_id", "exposure_id")
    copies = (
        events.with_columns(pl.col(name) + f"-{number}" for name in names)
        for number in range(times)
    )
    pl.concat(copies).sort("at").write_parquet(target / "events.parquet")
    return target


def rate(work: Iterable[object]) -> float:
    """Pieces of work done a second of processor time."""
    start = time.process_time()
    n = sum(1 for _ in work)
    return round(n / (time.process_time() - start), 1)


def replay(material: TrainingData, config: RunConfig) -> Figures:
    """Slates a second from the middle of the log."""
    past = PointInTime(material.dataset.events, seed_snapshot(material).catalogue(Topics.none()))
    schema = FeatureSchema(fit_recommenders(Interactions.from_events(past.events, past.catalogue)))
    slates = training_slates(past, config, seed=0)
    first = max(len(slates) - N_REPLAYED, 0) // 2
    chosen = slates.select(np.arange(first, min(first + N_REPLAYED, len(slates))))
    windows = WindowReplay(past.events)
    moments = list(zip(chosen.customers.tolist(), chosen.now_us.tolist(), strict=True))
    queries = past.queries(chosen)
    assert next(queries)  # the columns are sorted before the first
    start = time.process_time()
    assemble_slates(past, chosen, schema=schema)
    took_s = time.process_time() - start
    return {
        "n_slates": len(slates),
        "windows_per_s": rate(windows.window(*moment) for moment in moments),
        "queries_per_s": rate(queries),
        "slates_per_s": round(len(chosen) / took_s, 1),
    }


def measure(data: Path, root: Path) -> dict[str, object]:
    """Train twice on a dataset and return all figures; the second time knows the pictures."""
    options = TrainingOptions(config=RunConfig())
    source = DataOptions(directory=data, cache=root / "cache", strict=True)
    found = dict[str, object]()
    for name in ("new", "known"):
        stages = Stages()
        material = prepare(source, options, progress=stages)
        if name == "known":
            train(material, options, root=root, progress=stages)
        stages.end()
        found[f"pictures {name}"] = stages.figures
    return {
        "n_events": len(material.dataset.events),
        **found,
        "replay": replay(material, options.config),
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the dataset that all sizes are made of."""
    directory = tmp_path_factory.mktemp("world")
    period = Period.ending(END_US, N_DAYS)
    create_world(directory, WORLDS["standard"], period=period, n_customers=N_CUSTOMERS, seed=1)
    return directory


@pytest.mark.parametrize("n_events", SIZES)
def test_training(n_events: int, world: Path, tmp_path: Path) -> None:
    """Report time and memory by stage."""
    times = max(round(n_events / N_EVENTS), 1)
    data = repeated(world, tmp_path / "data", times=times)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        figures = process.submit(measure, data, tmp_path).result()

    write_result(f"training_{n_events}", figures)
