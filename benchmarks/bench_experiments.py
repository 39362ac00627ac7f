"""Cost of experiments for a request: routing, and the record of the answer.

Question: how many microseconds does routing take by the size of the plan, and which share of a
request's time goes into the record of its answer and its way into the store?

Method: routing alone, `Plan.route` of 2,000 customers, processor time, the median of nine
rounds. Logging: the application in this process, called without a socket, over the embedded
store with the small shop of the tests; blocks of requests whose records are logged and of
requests whose records are thrown away take turns, so that both see the same machine. A logged
block ends when its records are in the store: what happens beside the answers is counted too, in
the store's process not; on the clock a block therefore waits for the last batch once. Medians
over blocks of what a request takes, and of the logged share of each pair of neighbours.

Last numbers: see results/benchmarks/experiments.json after `make bench`, and docs/experiments.md.
"""

import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.catalogue.catalogue_version import CatalogueVersion
from app.catalogue.snapshot_archive import SnapshotArchive
from app.errors import StoreUnavailableError
from app.main import create_app
from app.recommend.exposure_queue import ExposureQueue
from app.resources import Resources, Worker, open_resources
from app.settings import Settings
from app.stores.embedded import embedded_server
from app.stores.exposure import ExposureLog, PackedExposure
from benchmarks.results import write_result
from models.experiments.exposure_record import ExposureRecord
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Plan, Visit
from models.experiments.plan.plan_edit import PlanDraft
from tests.end_to_end.service import run
from tests.plans import terms

N_ROUNDS = 9
N_UNITS = 2_000
N_BLOCKS = 60
PER_BLOCK = 50
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class NoLog(ExposureLog):
    """An empty log."""

    def __init__(self) -> None:
        """Do nothing: there is no store."""

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        """Take records, and keep none."""
        return [None] * len(exposures)


class Nowhere(ExposureQueue):
    """Throws records away."""

    def put(self, record: ExposureRecord, *served: CatalogueVersion) -> None:
        """Record nothing."""


@dataclass(frozen=True)
class Shop:
    """One application, and the resources of answers that are logged and of others."""

    app: FastAPI
    customers: list[str]
    logging: Resources
    silent: Resources


def plans() -> dict[str, Plan]:
    """Return plans by what is in them."""
    layers = [{"name": "home", "salt": "home-1"}, {"name": "mix", "salt": "mix-1"}]
    order = {**terms(), "name": "order"}
    halves: list[dict[str, object]] = [
        {"name": "off", "share_bp": 5_000},
        {"name": "on", "share_bp": 5_000, "policy": {"diversity": 0.1}},
    ]
    mix = {**order, "name": "mix", "layer": "mix", "salt": "mixing-1"}
    mix |= {"control": "off", "variants": halves}
    both: dict[str, object] = {"layers": layers, "experiments": [order, mix]}
    drafts: dict[str, dict[str, object]] = {
        "no_experiment": {},
        "one_layer": {"layers": layers[:1], "experiments": [order]},
        "two_layers": both,
        "two_layers_and_holdout": {**both, "holdout": {"salt": "held-1", "share_bp": 500}},
    }
    return {name: PlanDraft.model_validate(one).to_plan(Plan()) for name, one in drafts.items()}


def routing_us(plan: Plan) -> float:
    """Measure the routing of one visit, in microseconds of the processor."""
    visits = [Visit(NOW, {Unit.CUSTOMER: f"c{number:07d}"}) for number in range(N_UNITS)]
    rounds: list[float] = []
    for _ in range(N_ROUNDS):
        started = time.process_time()
        for visit in visits:
            plan.route(visit)
        rounds.append((time.process_time() - started) / N_UNITS * 1e6)
    return round(statistics.median(rounds), 2)


@pytest.fixture
async def shop(tiny_bundle: tuple[Path, Path], tmp_path: Path) -> AsyncGenerator[Shop]:
    """Open the small shop."""
    bundle, data = tiny_bundle
    command = ("app", "load", "--data", str(data), "--bundle", str(bundle))
    loaded = run(*command, VITRINE_STATE_DIR=str(tmp_path))
    assert loaded.returncode == 0, loaded.stderr
    customers = pl.read_parquet(data / "events.parquet")["customer_id"].unique().sort()
    worker = Worker()
    with embedded_server(tmp_path) as url, ThreadPoolExecutor(1) as pool:
        settings = Settings.model_validate(
            {"redis_url": url, "state_dir": tmp_path, "bundle": str(bundle), "deadline_ms": 10_000}
        )
        archive = SnapshotArchive(tmp_path / "none")
        nowhere = Nowhere(NoLog(), archive, pool=pool, metrics=worker.metrics)
        async with open_resources(settings, worker) as resources:
            pipeline = replace(resources.pipeline, exposures=nowhere)
            yield Shop(
                create_app(settings, worker),
                customers.to_list(),
                resources,
                replace(resources, pipeline=pipeline),
            )


async def ask(app: FastAPI, resources: Resources, customer: str) -> None:
    """Call the application as a server would, for one customer's slate."""
    path = "/v1/recommendations"
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": f"customer_id={customer}&limit=10".encode(),
        "headers": [(b"host", b"vitrine")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {"resources": resources},
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    await app(scope, receive, send)


async def block(shop: Shop, resources: Resources, customers: list[str]) -> tuple[float, float]:
    """Ask for customers in turn; return wall and processor microseconds a request."""
    started, busy = time.perf_counter(), time.process_time()
    for customer in customers:
        await ask(shop.app, resources, customer)
    await resources.pipeline.exposures.drain()
    n = len(customers)
    return (time.perf_counter() - started) / n * 1e6, (time.process_time() - busy) / n * 1e6


def test_routing() -> None:
    """Measure plans of several sizes."""
    write_result("routing", {name: routing_us(plan) for name, plan in plans().items()})


async def test_logging(shop: Shop) -> None:
    """Measure blocks with and without a log in turn."""
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(N_BLOCKS):
        first = number * PER_BLOCK
        customers = [shop.customers[(first + i) % len(shop.customers)] for i in range(PER_BLOCK)]
        # The second block finds warm caches, so both kinds come first equally often.
        order = [shop.logging, shop.silent][:: 1 if number % 2 else -1]
        taken = {id(one): await block(shop, one, customers) for one in order}
        pairs.append((taken[id(shop.logging)], taken[id(shop.silent)]))
    figures: dict[str, object] = {"blocks": N_BLOCKS, "requests_a_block": PER_BLOCK}
    for place, name in enumerate(("wall", "processor")):
        logged, silent = ([side[place] for side in part] for part in zip(*pairs, strict=True))
        shares = [1 - b / a for a, b in zip(logged, silent, strict=True)]
        figures[name] = {
            "logged_us": round(statistics.median(logged), 1),
            "not_logged_us": round(statistics.median(silent), 1),
            "share": round(statistics.median(shares), 4),
            "share_quartiles": [round(q, 4) for q in statistics.quantiles(shares, n=4)[::2]],
        }
    write_result("experiments", figures)
