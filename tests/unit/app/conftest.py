"""A store of its own for each test, which can be stopped and started, and a clock to set."""

from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.clock import StoreClock
from app.catalogue.model import Model
from app.catalogue.snapshot_archive import SnapshotArchive
from app.observability import Metrics
from app.stores.embedded import embedded_server, socket_path
from app.stores.store import Stores
from models.scoring.scorer import Scorer
from tests.contract.conftest import connection, embedded_url

__all__ = ["connection", "embedded_url"]


@dataclass
class WallClock:
    """This machine's clock, as far as the service knows."""

    now_us: int = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now_us


@dataclass
class Power:
    """The switch of a store: its file survives, as on a real machine."""

    state_dir: Path
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        folder = self.state_dir.resolve() / "valkey"
        return f"unix://{socket_path(folder)}"

    def on(self) -> None:
        self._running.enter_context(embedded_server(self.state_dir))

    def off(self) -> None:
        self._running.close()


@dataclass
class Shop:
    """What a live catalogue is made of."""

    stores: Stores
    folder: Path
    pool: ThreadPoolExecutor
    wall: WallClock
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def archive(self) -> SnapshotArchive:
        return SnapshotArchive(self.folder / "snapshots")

    @property
    def archive_of_another_machine(self) -> SnapshotArchive:
        return SnapshotArchive(self.folder / "another")

    def live(
        self,
        scorer: Scorer | None,
        clock: StoreClock | None = None,
        *,
        archive: SnapshotArchive | None = None,
    ) -> CatalogueFollower:
        return CatalogueFollower(
            self.stores,
            Model(scorer),
            archive=archive or self.archive,
            clock=clock or StoreClock(self.wall, self.wall),
            pool=self.pool,
            metrics=self.metrics,
        )


@pytest.fixture
def power(tmp_path: Path) -> Generator[Power]:
    power = Power(tmp_path)
    yield power
    power.off()


@pytest.fixture
async def shop(power: Power, tmp_path: Path) -> AsyncGenerator[Shop]:
    stores = Stores.open(power.url, timeout_s=10.0)
    with ThreadPoolExecutor(1) as pool:
        yield Shop(stores, tmp_path, pool, WallClock())
    await stores.server.close()
