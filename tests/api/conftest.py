"""The application over a real store, with a model made by hand."""

import logging
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.bundles.bundle_repository import BundleRepository
from app.catalogue.model import Model
from app.catalogue.snapshot_archive import SnapshotArchive
from app.cli.replay import Replayer
from app.main import create_app
from app.observability import configure_logging
from app.resources import SNAPSHOTS, Resources, Worker, resources_over
from app.settings import Settings
from app.stores.embedded import embedded_server
from app.stores.store import Stores
from models.domain.sale import Sale
from models.pictures.scene_labeller import SceneLabeller
from tests.scenes import colour_labeller
from tests.shop import client_of, reopened, sale, scorer

SALES = [
    sale("alps", category="ski"),
    sale("rome", category="city"),
    sale("tignes", category="ski"),
    sale("bali", category="beach"),
    sale("nice", category="beach", markets=("fr",)),
]
N_OF_BUNDLE = 12
"""Sales in the store of a test with a bundle."""


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with embedded_server(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture
def bundle() -> Path | None:
    """The bundle that serves; the model is made by hand where there is none."""
    return None


@pytest.fixture
def stock(bundle: Path | None, model: Model) -> list[Sale]:
    """The shop's sales, or some that the bundle knows, open now."""
    if bundle is None:
        return SALES
    assert model.scorer is not None
    return reopened(model.scorer, n=N_OF_BUNDLE)


@pytest.fixture
async def stores(store_url: str, stock: list[Sale]) -> AsyncGenerator[Stores]:
    """The store, with the sales in it."""
    stores = Stores.open(store_url, timeout_s=10.0)
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await stores.sales.put(stock)
    yield stores
    await stores.server.close()


@pytest.fixture(scope="session")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> SceneLabeller:
    """Tells blue, green and red pictures apart."""
    return colour_labeller(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def settings(tmp_path: Path, bundle: Path | None) -> Settings:
    """Every customer sees the meta-model's order; no read is given up on a busy machine."""
    patient = Settings(
        state_dir=tmp_path, read_timeout_ms=5_000, deadline_ms=10_000, explored_share=0
    )
    if bundle is None:
        return patient
    named = {"bundles": bundle.parent, "bundle": bundle.name, "exports": tmp_path / "out"}
    return patient.model_copy(update=named)


@pytest.fixture
def model(bundle: Path | None) -> Model:
    if bundle is None:
        return Model(scorer=scorer())
    return BundleRepository(bundle.parent, None).load(bundle.name)


@pytest.fixture
def api(stores: Stores, model: Model, settings: Settings, worker: Worker) -> FastAPI:
    """The application; its lifespan has not begun."""

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        async with resources_over(stores, model, settings=given, worker=process) as resources:
            yield resources

    return create_app(settings, worker, opener=opener)


@pytest.fixture
async def client(api: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(api) as client:
        yield client


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Generator[StringIO]:
    """Log as the service does, down to the finest, and the tests' own client not at all."""
    root, talkative = logging.getLogger(), [logging.getLogger(n) for n in ("httpx", "httpcore")]
    before = root.level, root.handlers[:], [logger.level for logger in talkative]
    lines = StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    configure_logging("debug")
    for logger in talkative:
        logger.setLevel(logging.CRITICAL)
    yield lines
    root.handlers[:] = before[1]
    root.setLevel(before[0])
    for logger, level in zip(talkative, before[2], strict=True):
        logger.setLevel(level)


@pytest.fixture
def replayer(bundle: Path, settings: Settings) -> Replayer:
    """What makes recorded answers again, from the bundles and snapshots of the tests."""
    archive = SnapshotArchive(settings.state_dir / SNAPSHOTS)
    return Replayer(BundleRepository(bundle.parent, None), archive)
