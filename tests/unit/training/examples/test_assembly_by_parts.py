"""Features that workers compute by parts of the customers are those of one process, to the bit."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.domain.event import from_us
from tests.logs import DAY
from tests.workers import workers_here
from tests.worlds import END_US, Silent
from training.configuration import RunConfig, TrainingOptions
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import TrainingExamples, assemble
from training.pipeline.training_data import TrainingData

N_PARTS = 4


@pytest.fixture(scope="module")
def data(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Give a shop with guests who became customers, up to its last day but one."""
    folder = tmp_path_factory.mktemp("merged")
    for name in ("sales", "events", "customers"):
        shutil.copy(tiny_world / f"{name}.parquet", folder)
    ids = pl.read_parquet(folder / "events.parquet")["customer_id"].unique().sort()
    merges = {"guest_id": ids[:20], "customer_id": ids[20:40]}
    moments = [from_us(END_US - (2 + n % 5) * DAY) for n in range(20)]
    pl.DataFrame({**merges, "merged_at": moments}).write_parquet(folder / "merges.parquet")
    source = DataOptions(directory=folder, cache=folder, until=from_us(END_US - DAY))
    return prepare(source, TrainingOptions(config=RunConfig()), progress=Silent())


def assembled(
    data: TrainingData, *, caller_orders: bool, n_processes: int | None
) -> TrainingExamples:
    config = RunConfig(caller_orders=caller_orders, hidden_share=0.3)
    options = TrainingOptions(config=config, n_parts=N_PARTS, n_processes=n_processes)
    return assemble(data, options, progress=Killing())


class Killing(Silent):
    """Kills a worker process once two parts are done."""

    def __init__(self) -> None:
        self._now, self._ticks = "", 0

    def stage(self, name: str, total: int | None = None) -> None:
        """Note which stage runs."""
        del total
        self._now, self._ticks = name, 0

    def tick(self) -> None:
        """Kill a worker when it is time."""
        self._ticks += 1
        if self._now == "features" and self._ticks == N_PARTS // 2:
            for worker in workers_here()[:1]:
                os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("caller_orders", [False, True])
def test_parts_and_killed_workers_change_no_bit(data: TrainingData, *, caller_orders: bool) -> None:
    whole = assembled(data, caller_orders=caller_orders, n_processes=None)

    parted = assembled(data, caller_orders=caller_orders, n_processes=2)

    assert len(whole.matrix) > 1_000
    assert whole.repeated.any()
    assert len(whole.past.events.merges) == 20
    assert parted.matrix.tobytes() == whole.matrix.tobytes()
    np.testing.assert_array_equal(parted.slates.rows, whole.slates.rows)
