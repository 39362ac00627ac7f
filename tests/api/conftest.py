"""The application over a real store, with a model made by hand."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.main import create_app
from app.resources import Model, Resources, Worker, resources_over
from app.settings import Settings
from app.stores.embedded import embedded_server
from app.stores.store import RedisStores
from models.scenes import SceneLabeller
from tests.scenes import write_backbone, write_pictures
from tests.shop import client_of, sale, scorer
from training.scenes.backbone import read_backbone
from training.scenes.layout import read_layout
from training.scenes.model import fit_scenes

SALES = [
    sale("alps", category="ski"),
    sale("rome", category="city"),
    sale("tignes", category="ski"),
    sale("bali", category="beach"),
    sale("nice", category="beach", markets=("fr",)),
]


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with embedded_server(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture
async def stores(store_url: str) -> AsyncGenerator[RedisStores]:
    """The store, with the shop's sales in it."""
    stores = RedisStores.open(store_url, timeout_s=10.0)
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await stores.sales.put(SALES)
    yield stores
    await stores.server.close()


@pytest.fixture(scope="session")
def labeller(tmp_path_factory: pytest.TempPathFactory) -> SceneLabeller:
    """Tells blue, green and red pictures apart."""
    root = tmp_path_factory.mktemp("scenes")
    pictures = write_pictures(root / "pictures", n_each=12, rng=np.random.default_rng(3))
    backbone = read_backbone(write_backbone(root))
    model = fit_scenes(read_layout(pictures), seed=1, cache=root / "cache", backbone=backbone)
    model.save(root / "model")
    return SceneLabeller.open(root / "model")


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Every customer sees the meta-model's order; no read is given up on a busy machine."""
    return Settings(state_dir=tmp_path, popularity_share_bp=0, read_timeout_ms=5_000)


@pytest.fixture
def model() -> Model:
    return Model(scorer=scorer())


@pytest.fixture
async def client(
    stores: RedisStores, model: Model, settings: Settings, worker: Worker
) -> AsyncGenerator[httpx.AsyncClient]:
    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        async with resources_over(stores, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, worker, opener=opener)) as client:
        yield client
