"""A variant with a bundle of its own: who answers, who is named, and who lacks it."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest

from app.bundles.bundle_repository import BundleRepository
from app.main import create_app
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.exposure import unpacked
from app.stores.keys import N_PARTITIONS, exposures_stream
from app.stores.store import Stores
from tests.bundles import recalibrated
from tests.plans import LAYER, terms
from tests.shop import client_of

N_CUSTOMERS = 40


@pytest.fixture(scope="module")
def shelves(
    tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, str, str]:
    """A shelf with both bundles and one that lacks the variant's, and the ids of both."""
    whole, poor = (tmp_path_factory.mktemp(name) for name in ("whole", "poor"))
    serving = recalibrated(tiny_bundle[0], whole, shift=0.0)
    own = recalibrated(tiny_bundle[0], whole, shift=3.0)
    recalibrated(tiny_bundle[0], poor, shift=0.0)
    return whole, poor, serving.name, own.name


@asynccontextmanager
async def worker(
    stores: Stores, settings: Settings, *, shelf: Path, serving: str
) -> AsyncGenerator[httpx.AsyncClient]:
    """A worker of a machine with a shelf of its own."""
    own = settings.model_copy(
        update={"bundles": shelf, "bundle": serving, "state_dir": settings.state_dir / shelf.name}
    )
    model = BundleRepository(shelf, None).load(serving)

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        async with resources_over(stores, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(own, Worker(), opener=opener)) as client:
        yield client


@pytest.fixture
async def rich_and_poor(
    stores: Stores, settings: Settings, shelves: tuple[Path, Path, str, str]
) -> AsyncGenerator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Two workers of one store; the second lacks the variant's bundle."""
    whole, poor, serving, _ = shelves
    async with (
        worker(stores, settings, shelf=whole, serving=serving) as rich,
        worker(stores, settings, shelf=poor, serving=serving) as lacking,
    ):
        yield rich, lacking


async def planned(client: httpx.AsyncClient, own: str) -> None:
    await client.put("/v1/plan", json={"layers": [LAYER]})
    variants = [
        {"name": "popularity", "share_bp": 5_000},
        {"name": "own", "share_bp": 5_000, "policy": {"bundle": own}},
    ]
    put = await client.put("/v1/experiments/order", json=terms(variants=variants))
    assert put.status_code == 200, put.text


async def answers(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for number in range(N_CUSTOMERS):
        customer = f"c{number}"
        answer = await client.get("/v1/recommendations", params={"customer_id": customer})
        found[customer] = answer.json()
    return found


def side(answer: dict[str, Any]) -> str:
    return answer["assignments"][0]["variant"]


async def until_it_is_held(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Answers once all are routed and none is degraded; on the way none lacks the bundle."""
    async with asyncio.timeout(60.0):
        while True:
            found = await answers(client)
            assert "variant" not in {one["degraded"] for one in found.values()}
            if all(one["assignments"] and not one["degraded"] for one in found.values()):
                return found


async def until_full(client: httpx.AsyncClient, *, status: int) -> str:
    """What `/health/full` says once it has a status."""
    async with asyncio.timeout(60.0):
        while True:
            full = await client.get("/health/full")
            if full.status_code == status:
                return full.text


async def exposures(stores: Stores, ids: set[str]) -> list[dict[str, Any]]:
    """The records of these answers, once they are logged."""
    async with asyncio.timeout(60.0):
        while True:
            replies = await stores.connection.execute_many(
                [("XRANGE", exposures_stream(p), "-", "+") for p in range(N_PARTITIONS)],
                doing="looking",
            )
            records = [
                orjson.loads(unpacked(entry[1][b"x"]))
                for reply in cast("list[list[tuple[bytes, dict[bytes, bytes]]]]", replies)
                for entry in reply
            ]
            own = [one for one in records if one["recommendation_id"] in ids]
            if len(own) == len(ids):
                return own


async def test_a_variant_is_answered_by_its_own_bundle_which_exposures_name(
    stores: Stores, settings: Settings, shelves: tuple[Path, Path, str, str]
) -> None:
    whole, _, serving, own = shelves
    async with worker(stores, settings, shelf=whole, serving=serving) as client:
        await planned(client, own)
        found = await until_it_is_held(client)
        ids = {one["recommendation_id"]: one["bundle"] for one in found.values()}
        records = await exposures(stores, set(ids))

    expected = {"popularity": serving, "own": own}
    assert {side(one) for one in found.values()} == {"popularity", "own"}
    assert all(one["bundle"] == expected[side(one)] for one in found.values())
    # Its log-odds lie higher by three, which the answers show.
    chance = {
        name: {
            one["items"][0]["purchase_probability"] for one in found.values() if side(one) == name
        }
        for name in expected
    }
    assert min(chance["own"]) > max(chance["popularity"])
    assert {one["recommendation_id"]: one["bundle_id"] for one in records} == ids


async def test_a_worker_that_runs_follows_the_plan_once_it_has_loaded_the_bundle(
    stores: Stores, settings: Settings, shelves: tuple[Path, Path, str, str]
) -> None:
    whole, _, serving, own = shelves
    async with (
        worker(stores, settings, shelf=whole, serving=serving) as planning,
        worker(stores, settings, shelf=whole, serving=serving) as other,
    ):
        await planned(planning, own)
        found = await until_it_is_held(other)

    assert {(side(one), one["bundle"]) for one in found.values()} == {
        ("popularity", serving),
        ("own", own),
    }


async def test_a_worker_that_starts_later_has_the_bundle_at_its_first_answer(
    stores: Stores, settings: Settings, shelves: tuple[Path, Path, str, str]
) -> None:
    """Answers degraded for want of it would speak against the bundle, which a canary weighs."""
    whole, _, serving, own = shelves
    async with worker(stores, settings, shelf=whole, serving=serving) as client:
        await planned(client, own)

    async with worker(stores, settings, shelf=whole, serving=serving) as client:
        found = await answers(client)

    assert {(side(one), one["bundle"], one["degraded"]) for one in found.values()} == {
        ("popularity", serving, None),
        ("own", own, None),
    }


async def test_a_plan_that_names_a_half_copied_bundle_is_refused_and_others_are_still_changed(
    stores: Stores, settings: Settings, shelves: tuple[Path, Path, str, str], tmp_path: Path
) -> None:
    """As an activation refuses it; what runs already must not keep another one from its end."""
    whole, _, serving, own = shelves
    shelf = Path(shutil.copytree(whole, tmp_path / "shelf"))
    by_own = [{"name": "own", "share_bp": 10_000, "policy": {"bundle": own}}]
    by_active = [{"name": "own", "share_bp": 10_000}]
    half: dict[str, Any] = {"traffic_bp": 5_000, "control": "own"}
    async with worker(stores, settings, shelf=shelf, serving=serving) as client:
        await client.put("/v1/plan", json={"layers": [LAYER]})
        running = await client.put("/v1/experiments/a", json=terms(variants=by_own, **half))
        (shelf / own / "golden.npz").unlink()

        refused = await client.put(
            "/v1/experiments/b", json=terms(variants=by_own, salt="b", **half)
        )
        other = await client.put(
            "/v1/experiments/b", json=terms(variants=by_active, salt="b", **half)
        )
        ended = await client.delete("/v1/experiments/a")

    assert (running.status_code, other.status_code, ended.status_code) == (200, 200, 200)
    assert (refused.status_code, refused.json()["code"]) == (409, "plan_refused")
    assert "variant own of b" in refused.json()["detail"]
    assert "golden.npz is missing" in refused.json()["detail"]


async def test_a_worker_without_the_bundle_answers_by_the_default_and_says_so(
    rich_and_poor: tuple[httpx.AsyncClient, httpx.AsyncClient],
    shelves: tuple[Path, Path, str, str],
) -> None:
    (rich, lacking), (_, _, serving, own) = rich_and_poor, shelves
    await planned(rich, own)
    served = await until_it_is_held(rich)
    async with asyncio.timeout(60.0):
        found = await answers(lacking)
        while not all(one["assignments"] for one in found.values()):
            found = await answers(lacking)
    refused = await lacking.put(
        "/v1/experiments/order",
        json=terms(
            variants=[{"name": "popularity", "share_bp": 10_000, "policy": {"bundle": own}}]
        ),
    )

    # Both workers deal alike; only what they can serve differs.
    assert {one: side(served[one]) for one in served} == {one: side(found[one]) for one in found}
    assert {one["bundle"] for one in found.values()} == {serving}
    levels = Counter((side(one), one["degraded"]) for one in found.values())
    assert set(levels) == {("popularity", None), ("own", "variant")}
    assert (refused.status_code, refused.json()["code"]) == (409, "plan_refused")


async def test_a_worker_that_cannot_load_the_active_bundle_says_which_one_answers(
    rich_and_poor: tuple[httpx.AsyncClient, httpx.AsyncClient],
    shelves: tuple[Path, Path, str, str],
) -> None:
    """Its answers are full, by a bundle that was not chosen: callers are served, alerts fire."""
    (rich, lacking), (_, _, serving, own) = rich_and_poor, shelves
    before = await lacking.get("/health/full")
    activated = await rich.put("/v1/bundles/active", json={"bundle": own})
    full = await until_full(lacking, status=503)
    ready, answer = await lacking.get("/health/ready"), await lacking.get("/v1/recommendations")
    returned = await rich.post("/v1/bundles/rollback")
    await until_full(lacking, status=200)

    assert (before.status_code, activated.status_code, returned.status_code) == (200, 200, 200)
    assert f"{serving} answers: " in full
    assert own in full
    assert ready.status_code == 200
    assert (answer.json()["bundle"], answer.json()["degraded"]) == (serving, None)


async def test_an_ended_experiment_returns_everybody_to_the_default(
    stores: Stores, settings: Settings, shelves: tuple[Path, Path, str, str]
) -> None:
    whole, _, serving, own = shelves
    async with worker(stores, settings, shelf=whole, serving=serving) as client:
        await planned(client, own)
        await until_it_is_held(client)

        await client.delete("/v1/experiments/order")
        found = await answers(client)

    assert {(one["bundle"], one["degraded"]) for one in found.values()} == {(serving, None)}
