"""Answers do not wait for their log: what it does not take is counted."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from app.catalogue.model import Model
from app.errors import StoreUnavailableError
from app.health import background_tasks
from app.main import create_app
from app.recommend import exposure_queue
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.exposure import ExposureLog, PackedExposure
from app.stores.store import Stores
from tests.shop import client_of

CAPACITY_BYTES = 2_000
N_ANSWERS = 20


class StuckLog(ExposureLog):
    """A log that takes what it is given, and never says so."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.connection)
        self.n_taken = 0

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        self.n_taken += len(exposures)
        await asyncio.Event().wait()
        return []


@pytest.fixture
def log(stores: Stores) -> StuckLog:
    return StuckLog(stores)


@pytest.fixture
async def client(
    stores: Stores,
    log: StuckLog,
    model: Model,
    settings: Settings,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[httpx.AsyncClient]:
    monkeypatch.setattr(exposure_queue, "CAPACITY_BYTES", CAPACITY_BYTES)
    monkeypatch.setattr(background_tasks, "LOG_DRAIN_S", 0.01)

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        stuck = replace(stores, exposures=log)
        async with resources_over(stuck, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, worker, opener=opener)) as client:
        yield client


async def test_a_log_that_hangs_costs_records_and_no_answer(
    client: httpx.AsyncClient, log: StuckLog, worker: Worker
) -> None:
    for number in range(N_ANSWERS):
        answer = await client.get("/v1/recommendations", params={"customer_id": f"c{number}"})

        assert (answer.status_code, answer.json()["degraded"]) == (200, None)
        assert answer.json()["items"]
        async with asyncio.timeout(10.0):
            while not log.n_taken:
                # Records linger for a moment, to share a round trip.
                await client.get("/health/live")
    dropped = worker.metrics.registry.get_sample_value("vitrine_exposures_dropped_total")
    assert dropped is not None
    assert 0 < dropped <= N_ANSWERS - log.n_taken
