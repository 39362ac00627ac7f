"""A small simulated shop and a bundle trained on it, made once a session for all its workers."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

from models.domain.units import SECOND_US
from training.configuration import RunConfig, TrainingOptions
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import train
from training.simulator.creation import create_world, redraw_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period
from training.simulator.simulation import World

_DAY_US: Final = 24 * 3600 * SECOND_US
_FIRST_END_US: Final = 1_795_366_800_000_000  # 2026-11-22 17:00 UTC

END_US: Final = _FIRST_END_US + (time.time_ns() // 1_000 - _FIRST_END_US) // _DAY_US * _DAY_US
"""The end of every small world: the last 17:00 UTC, so that a service has open sales of it."""

N_CUSTOMERS: Final = 200
N_DAYS: Final = 10
TINY_SEED: Final = 3

# Fewer types and sales than the real worlds: what takes time is pictures.
_SMALL: Final = replace(WORLDS["standard"], n_types=100, sales_per_day=10.0, scenes_per_category=2)


class Silent:
    """Progress without an output."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Take no note."""

    def tick(self) -> None:
        """Take no note."""


def write_world(
    directory: Path, *, seed: int, n_customers: int = N_CUSTOMERS, photos: Path | None = None
) -> Path:
    """Simulate a small shop and return the folder of its dataset."""
    period = Period.ending(END_US, N_DAYS)
    create_world(
        directory, _SMALL, period=period, n_customers=n_customers, seed=seed, photos=photos
    )
    return directory


def again(directory: Path, *, seed: int) -> World:
    """Return the world that `write_world` wrote: its customers and what they like."""
    period = Period.ending(END_US, N_DAYS)
    return redraw_world(directory, _SMALL, period=period, n_customers=N_CUSTOMERS, seed=seed)


def train_bundle(
    data: Path,
    root: Path,
    *,
    cache: Path,
    seed: int = 0,
    threads: int = 1,
    scratch: Path | None = None,
) -> Path:
    """Train on a whole dataset and return the bundle's directory."""
    options = TrainingOptions(config=RunConfig(), seed=seed, threads=threads, scratch=scratch)
    source = DataOptions(directory=data, cache=cache, strict=True)
    return train(prepare(source, options, progress=Silent()), options, root=root, progress=Silent())


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Give the folder that the workers of a session have in common."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def picture_cache(shared_folder: Path) -> Path:
    """Keep picture features and scene models between the trainings of a session."""
    return shared_folder / "picture-cache"


@pytest.fixture(scope="session")
def tiny_world(shared_folder: Path) -> Path:
    """Give the dataset of a small simulated shop; read only."""
    directory = shared_folder / "tiny-world"
    with made_once(directory) as is_made:
        if not is_made:
            write_world(directory, seed=TINY_SEED)
    return directory


@pytest.fixture(scope="session")
def tiny_bundle(tiny_world: Path, picture_cache: Path, shared_folder: Path) -> tuple[Path, Path]:
    """Give a bundle's directory and the dataset that it was trained on; read only."""
    root = shared_folder / "bundles"
    with made_once(root) as is_made:
        if not is_made:
            train_bundle(tiny_world, root, cache=picture_cache)
    (bundle,) = root.iterdir()
    return bundle, tiny_world


@contextmanager
def made_once(path: Path) -> Generator[bool]:
    """Yield whether a worker of the session has made ``path``; others wait while one does."""
    mark = path.with_suffix(".made")
    with FileLock(path.with_suffix(".lock")):
        yield mark.exists()
        mark.touch()
