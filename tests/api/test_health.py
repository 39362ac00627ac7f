"""The health routes."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from app import __version__
from app.catalogue.model import Model
from app.main import create_app
from app.recommend.recent_answers import LEAST
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.keys import CHANGES, PICTURES, VERSION, counts_prefix, events_stream
from app.stores.keys import SALES as SALES_KEY
from app.stores.picture import LabelledPicture
from app.stores.plan import PlanStore
from app.stores.store import Stores
from models.domain.sale import MAX_MARKETS, PictureScores
from models.domain.units import HOUR_US
from models.neighbours.search import EMBEDDING_SIZE
from tests.api.conftest import SALES
from tests.contract.servers import hanging
from tests.shop import (
    NDJSON,
    client_of,
    sale,
    scorer,
)

LIVE = ["/health/live", "/v2/health/live"]
READY = ["/health/ready", "/v2/health/ready"]
FULL = "/health/full"


async def answer_of(client: httpx.AsyncClient, path: str, *, status: int) -> httpx.Response:
    """Return the first answer of this status."""
    async with asyncio.timeout(60.0):
        while True:
            answer = await client.get(path)
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("path", [*LIVE, *READY, FULL])
async def test_a_complete_service_is_live_and_ready(client: httpx.AsyncClient, path: str) -> None:
    answer, head = await client.get(path), await client.head(path)

    assert (answer.status_code, head.status_code) == (200, 200)
    assert list(answer.json().values()) in (["ok"], [True])


async def test_full_answers_need_the_store(client: httpx.AsyncClient, stores: Stores) -> None:
    async with hanging(stores.connection):
        answer = await client.get(FULL)

    assert (answer.status_code, answer.json()["code"]) == (503, "not_in_full")
    detail = answer.json()["detail"]
    assert detail.startswith(
        "answers are not full: store: no answer in time: start it (the embedded one"
    )


@pytest.mark.slow
async def test_a_store_that_takes_writes_again_is_full_at_once(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """The monitor looks every ten seconds."""
    await stores.connection.execute("CONFIG", "SET", "maxmemory", "1", doing="filling")
    full = await answer_with(client, FULL, "writes: ")
    await stores.connection.execute("CONFIG", "SET", "maxmemory", "0", doing="emptying")

    answer = await client.get(FULL)

    assert "raise maxmemory" in full
    assert answer.status_code == 200


@pytest.mark.slow
async def test_a_stream_of_another_type_is_named_until_it_is_removed(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """The monitor looks every ten seconds."""
    stream = events_stream(56)
    await stores.connection.execute("SET", stream, "another program's", doing="breaking it")
    full = await answer_with(client, FULL, "writes: ")
    metrics = await answer_with(client, "/metrics", 'missing{part="writes"} 1.0')
    await stores.connection.execute("DEL", stream, doing="mending it")

    answer = await client.get(FULL)

    assert "1 keys are of another type, such as events:{56}" in full
    assert "redis-cli DEL KEY" in full
    assert 'write_refusals_total{reason="damaged"}' in metrics
    assert answer.status_code == 200


async def test_a_catalogue_that_cannot_be_read_is_named_while_the_store_answers(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """The customers' keys can be read, as where only the catalogue's node of a cluster is away."""
    await stores.connection.execute("SET", SALES_KEY, "of another type", doing="breaking it")

    full = await answer_with(client, FULL, "not_in_full")
    with capture_logs() as lines:
        named = await answer_with(client, "/v1/recommendations", '"degraded":"remembered"')
    await stores.connection.execute("DEL", SALES_KEY, doing="removing it")
    await stores.sales.put(SALES)
    await answer_of(client, FULL, status=200)

    assert "catalogue: its last reading failed, and the last known one answers" in full
    assert SALES_KEY in full
    assert len(json.loads(named)["items"]) == 5
    [line] = [one for one in lines if one["event"] == "degraded answers"]
    assert "the last reading of the catalogue failed" in line["reason"]


async def test_an_emptied_store_is_named_and_takes_no_process_out(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    full = await answer_with(client, FULL, "not_in_full")
    metrics = await answer_with(client, "/metrics", "answers_in_full 0.0")
    ready = await client.get("/health/ready")
    answer = (await client.get("/v1/recommendations", params={"customer_id": "c1"})).json()
    one = await client.get("/v1/sales/alps")

    assert "lacks the newest state of 5 sales" in full
    assert "run `python -m app load --data DIR`" in full
    assert 'vitrine_missing{part="catalogue"} 1.0' in metrics
    assert (ready.status_code, one.status_code) == (200, 200)
    assert (len(answer["items"]), answer["degraded"]) == (5, "remembered")


async def test_a_state_directory_that_takes_no_catalogue_is_named(
    client: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    """A worker that starts while the store is unreachable would show an older catalogue."""
    folder = settings.state_dir / "snapshots"
    folder.rename(settings.state_dir / "moved")
    folder.write_text("a file, and no folder")
    await stores.sales.put([sale("new")])

    full = await answer_with(client, FULL, "not_in_full")
    metrics = await answer_with(client, "/metrics", "answers_in_full 0.0")

    assert "state: the catalogue is not saved on this machine" in full
    assert "VITRINE_STATE_DIR" in full
    assert 'vitrine_missing{part="state"} 1.0' in metrics


async def test_answers_of_an_outage_are_not_held_against_the_time_after_it(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await answer_with(client, FULL, "not_in_full")
    for number in range(20):
        await client.get("/v1/recommendations", params={"customer_id": f"c{number}"})
    during = await answer_with(client, FULL, "not_in_full")
    await stores.sales.put(SALES)

    after = await answer_with(client, FULL, "ok")

    assert ("catalogue: " in during, "last minute were not" in during) == (True, False)
    assert "last minute were not" not in after


class TestByPopularity:
    """A service whose answers are all by popularity."""

    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=None)

    async def test_a_service_whose_answers_are_by_popularity_is_not_in_full(
        self, client: httpx.AsyncClient
    ) -> None:
        before = await client.get(FULL)
        for number in range(20):
            params = {"customer_id": f"c{number}"}
            answer = await client.get("/v1/recommendations", params=params)
            assert answer.json()["degraded"] == "popularity"

        full = await client.get(FULL)
        metrics = await answer_with(client, "/metrics", "answers_in_full 0.0")

        assert (before.status_code, full.status_code) == (200, 503)
        assert "answers: 20 of the 20 answers" in full.json()["detail"]
        assert "20 of them by popularity: model missing" in full.json()["detail"]
        assert 'vitrine_missing{part="answers"} 1.0' in metrics


async def answer_with(client: httpx.AsyncClient, path: str, words: str) -> str:
    """The first answer of a path that holds these words."""
    for _ in range(300):
        answer = (await client.get(path)).text
        if words in answer:
            return answer
        await asyncio.sleep(0.1)
    msg = f"{path} never said {words!r}"
    raise TimeoutError(msg)


@pytest.mark.parametrize("path", [*LIVE, *READY])
async def test_liveness_and_readiness_do_not_ask_the_store(
    client: httpx.AsyncClient, stores: Stores, path: str
) -> None:
    """Processes that are restarted or taken out because their store hangs answer no customer."""
    async with hanging(stores.connection):
        answer = await client.get(path)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", LIVE)
async def test_a_background_task_that_ended_is_named_by_liveness_and_readiness(
    client: httpx.AsyncClient, worker: Worker, path: str
) -> None:
    worker.tasks.states["plan"].is_dead = True

    live, ready = await client.get(path), await client.get("/health/ready")

    assert (live.status_code, live.json()["code"]) == (503, "not_live")
    assert live.json()["detail"] == "not live: background task plan: ended"
    detail = "not ready: tasks: background task plan: ended: look in the log for `a background task"
    assert ready.json()["detail"].startswith(detail)


class FailingPlanStore(PlanStore):
    """A store of plans with an error of which no task knows, until it is mended."""

    is_mended = False

    async def version(self) -> int:
        return await super().version() if self.is_mended else 1 // 0


async def test_a_background_task_that_keeps_failing_is_named_until_it_succeeds(
    stores: Stores, model: Model, settings: Settings, worker: Worker
) -> None:
    plans = FailingPlanStore(stores.connection)
    plans.is_mended = True

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        failing = replace(stores, plans=plans)
        async with resources_over(failing, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, worker, opener=opener)) as client:
        plans.is_mended = False
        failing = await answer_of(client, "/health/live", status=503)
        plans.is_mended = True
        mended = await answer_of(client, "/health/live", status=200)

    n_restarts = worker.metrics.registry.get_sample_value(
        "vitrine_task_restarts_total", {"task": "plan"}
    )
    assert (
        "not live: background task plan: 3 errors: ZeroDivisionError: " in failing.json()["detail"]
    )
    assert mended.json() == {"status": "ok"}
    assert n_restarts is not None
    assert n_restarts >= 3.0


async def test_a_head_of_what_would_log_an_answer_is_not_taken(client: httpx.AsyncClient) -> None:
    """Monitors ask by HEAD whether a process lives; of anything else it is no question."""
    refused = await client.head("/v1/recommendations", params={"customer_id": "c1"})

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


async def test_a_draining_process_is_not_ready_but_answers(
    client: httpx.AsyncClient, worker: Worker
) -> None:
    worker.drain.started = True

    ready = await client.get("/health/ready")
    answer = await client.get("/v1/recommendations", params={"customer_id": "c1"})

    assert (ready.status_code, ready.json()["detail"]) == (
        503,
        "not ready: draining: the process is about to stop: send requests to another worker;"
        " nothing else is to be done",
    )
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("name", ["vitrine", "by-hand"])
async def test_the_served_model_is_ready_by_the_services_name_and_by_the_bundles(
    client: httpx.AsyncClient, name: str
) -> None:
    answer = await client.get(f"/v2/models/{name}/ready")

    assert (answer.status_code, answer.json()) == (200, {"name": name, "ready": True})


async def test_another_model_is_unknown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2/models/other/ready")

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
    assert answer.json()["detail"] == "unknown model 'other': served are vitrine, by-hand"


async def test_a_store_of_which_no_catalogue_can_be_built_is_named_with_the_reason(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """The last catalogue stays, and answers from it: nothing else would say that it is old."""
    vector = np.zeros(EMBEDDING_SIZE, np.float32)
    of_one_model = [
        LabelledPicture(sale_id, PictureScores(vector[:n_labels], vector, vector[:4]), "")
        for sale_id, n_labels in (("alps", 7), ("rome", 8))
    ]
    await stores.sales.put_pictures(of_one_model)

    full = await answer_with(client, FULL, "none can be built")

    assert "catalogue: none can be built of what the store holds: " in full


async def test_a_damaged_picture_is_named_and_a_put_of_its_sale_mends_it(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """Sales of the same change are recommended; whoever reads the sale gets it without picture."""
    for sale_id in ("alps", "rome"):
        broken = ("HSET", PICTURES, f"1{sale_id}", bytes(6))
        await stores.connection.execute(*broken, doing="breaking a picture")
        change = ("ZADD", CHANGES, 2**52, f"p1{sale_id}")
        await stores.connection.execute(*change, doing="telling of it")
    await stores.connection.execute("SET", VERSION, 2**52, doing="telling of it")
    await stores.sales.put([sale("new"), sale("other", markets=["fr"])])

    full = await answer_with(client, FULL, "unreadable")
    read = await client.get("/v1/sales/alps")
    await answer_with(client, "/v1/recommendations", '"new"')
    await answer_with(client, "/metrics", 'vitrine_unreadable_records{kind="pictures"} 2.0')
    many = sale("rome", markets=[f"m{number}" for number in range(MAX_MARKETS)])
    refused = await client.post(
        "/v1/sales", content=many.model_dump_json(exclude_defaults=True), headers=NDJSON
    )
    kept = await stores.connection.execute("HEXISTS", PICTURES, "1rome", doing="looking for it")
    await client.put("/v1/sales/alps", json=json.loads(sale("alps").model_dump_json()))
    await client.post(
        "/v1/sales", content=sale("rome").model_dump_json(exclude_defaults=True), headers=NDJSON
    )
    await answer_of(client, FULL, status=200)

    assert "catalogue: 2 stored pictures are unreadable and left out: 'alps', number 1 (6 b" in full
    assert "pictures are to be put again" in full
    assert (refused.json()["rejected"], kept) == (1, 1)
    assert (read.status_code, read.json()["pictures"]) == (200, [])


async def test_an_unreadable_sale_is_named_and_a_put_mends_it(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await stores.sales.put([sale("old")])
    broken = ("HSET", SALES_KEY, "old", "{}")
    await stores.connection.execute(*broken, doing="breaking a sale")
    await stores.connection.execute("ZADD", CHANGES, 2**52, "sold", doing="telling of it")
    await stores.connection.execute("SET", VERSION, 2**52, doing="telling of it")

    full = await answer_with(client, FULL, "unreadable")
    absent = await client.get("/v1/sales/old")
    body = sale("old").model_dump_json(exclude_defaults=True)
    many = await client.post("/v1/sales", content=body, headers=NDJSON)
    put = await client.put("/v1/sales/old", json=json.loads(body))
    await answer_of(client, FULL, status=200)

    assert "catalogue: 1 stored sales are unreadable and left out: 'old' (sale_id: Field" in full
    assert "put or delete each of these sales" in full
    assert (absent.status_code, many.json()["created"], put.status_code) == (404, 1, 200)
    assert (await client.get("/v1/sales/old")).status_code == 200


async def test_a_worker_that_never_had_a_catalogue_says_what_to_do(
    settings: Settings, worker: Worker
) -> None:
    """The store is unreachable, nothing is saved on this machine, and there is no bundle."""
    stores = Stores.open(f"unix://{settings.state_dir}/none.sock")

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        async with resources_over(stores, Model(), settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, worker, opener=opener)) as client:
        ready = await client.get("/health/ready")

    assert ready.status_code == 503
    assert "catalogue: none was read from the store" in ready.json()["detail"]
    assert "`python -m app doctor`" in ready.json()["detail"]


async def test_the_server_says_what_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2")

    assert answer.json() == {"name": "vitrine", "version": __version__, "extensions": []}


async def test_counts_that_are_too_old_are_named_in_answers_and_health(
    stores: Stores, settings: Settings
) -> None:
    """The model learned from events of 1970, and none is known since."""
    trained = scorer(*SALES)
    totals = np.ones_like(trained.counts.totals)
    model = Model(scorer=replace(trained, counts=replace(trained.counts, totals=totals)))

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        async with resources_over(stores, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, Worker(), opener=opener)) as client:
        for _ in range(LEAST - 1):
            await client.get("/v1/recommendations", params={"customer_id": "c1"})
        answer = (await client.get("/v1/recommendations", params={"customer_id": "c1"})).json()
        full, ready = await client.get(FULL), await client.get("/health/ready")

    assert answer["degraded"] == "stale_counts"
    assert answer["items"][0]["purchase_probability"] is not None
    assert "counts: no event of the last 14 days is known: send events" in full.json()["detail"]
    # One cause is one part, also where it has lowered every answer.
    assert "answers:" not in full.json()["detail"]
    assert ready.status_code == 200


async def test_counts_of_which_parts_are_the_last_known_ones_are_named_in_answers_and_health(
    stores: Stores, model: Model, settings: Settings
) -> None:
    hour = await stores.server.time_us() // HOUR_US
    damaged = f"{counts_prefix(3)}h{hour - 5}"
    await stores.connection.execute("SET", damaged, "of another type", doing="breaking it")

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        async with resources_over(stores, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, Worker(), opener=opener)) as client:
        full = await answer_with(client, FULL, "counts: 1 of 65 parts")
        answer = (await client.get("/v1/recommendations")).json()
        await stores.connection.execute("DEL", damaged, doing="removing it")
        await answer_of(client, FULL, status=200)
        after = (await client.get("/v1/recommendations")).json()

    assert "wrong kind of value" in full
    assert (answer["degraded"], answer["items"][0]["purchase_probability"] is None) == (
        "stale_counts",
        False,
    )
    assert after["degraded"] is None
