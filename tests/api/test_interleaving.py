"""Slates that two bundles share: over HTTP, in the log, made again, and in results."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.catalogue.model import Model
from app.cli.replay import Replayer, replay_all
from app.export import export
from app.main import create_app
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.connection import Connection
from app.stores.customer import CustomerStore
from app.stores.store import Stores
from models.experiments.exposure import read_exposures
from models.experiments.exposure_record import ExposureRecord, read_records
from models.slate.exploration import seed_from, uniforms
from tests.api.conftest import N_OF_BUNDLE
from tests.bundles import recalibrated, reversed_order
from tests.plans import LAYER, terms
from tests.round_trips import CountingConnection, counted, open_channel
from tests.shop import client_of

SHOWN = 5
CUSTOMERS = [f"c{number}" for number in range(60)]
RESULTS = "/v1/experiments/both/results"


@pytest.fixture(scope="module")
def shelf(
    tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The serving bundle, and one with its order reversed."""
    root = tmp_path_factory.mktemp("shelf")
    original = tiny_bundle[0]
    return recalibrated(original, root, shift=0.0), reversed_order(original, root, centre=-4.0)


@pytest.fixture
def bundle(shelf: tuple[Path, Path]) -> Path:
    return shelf[0]


async def interleave(client: httpx.AsyncClient, bundle: str, **fields: object) -> httpx.Response:
    """Share the slates of half of the customers with a bundle."""
    teams = [{"name": "serving"}, {"name": "reversed", "policy": {"bundle": bundle}}]
    await client.put("/v1/plan", json={"layers": [LAYER]})
    mixed = {"kind": "interleaving", "control": "serving", "variants": teams, "traffic_bp": 5_000}
    return await client.put("/v1/experiments/both", json={**terms(), **mixed, **fields})


async def ask(
    client: httpx.AsyncClient, customer: str, *, limit: int = SHOWN, variant: str | None = None
) -> dict[str, Any]:
    params: dict[str, str | int] = {"customer_id": customer, "limit": limit}
    if variant is not None:
        params["variant"] = variant
    answer = await client.get("/v1/recommendations", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def click(
    client: httpx.AsyncClient, customer: str, answer: dict[str, Any], sale: str
) -> None:
    """Click a sale of an answer."""
    event = {
        "event_id": f"e-{customer}",
        "customer_id": customer,
        "type": "click",
        "sale_id": sale,
        "at": datetime.now(UTC).isoformat(),
        "exposure_id": answer["recommendation_id"],
    }
    posted = await client.post("/v1/events", json={"events": [event]})
    assert posted.json()["accepted"] == 1, posted.text


async def exported(connection: Connection, out: Path, *, n: int) -> list[ExposureRecord]:
    """The records of an export, once all answers are in it."""
    async with asyncio.timeout(60.0):
        while True:
            await export(connection, out)
            exposures = out / "exposures.parquet"
            records = [*read_records(read_exposures(out))] if exposures.is_file() else []
            if len(records) >= n:
                return records
            await asyncio.sleep(0.1)


async def test_half_of_the_customers_see_sales_of_both_bundles(
    client: httpx.AsyncClient, shelf: tuple[Path, Path], stores: Stores, tmp_path: Path
) -> None:
    """A team's sales are the first that its bundle names, in the order of its own slate."""
    put = await interleave(client, shelf[1].name)
    answers = {one: await ask(client, one) for one in CUSTOMERS}
    alone = {
        name: {one: await ask(client, one, variant=f"both:{name}") for one in CUSTOMERS[:5]}
        for name in ("serving", "reversed")
    }
    records = await exported(stores.connection, tmp_path / "out", n=len(CUSTOMERS) + 10)

    assert put.status_code == 200, put.text
    shared = [one for one in records if one.interleaving is not None]
    names = {one.customer_id for one in shared}
    assert 10 < len(names) < 50
    for customer, answer in answers.items():
        assigned = [one["variant"] for one in answer["assignments"]]
        assert assigned == (["interleaved"] if customer in names else [])
        assert (answer["degraded"], answer["bundle"]) == (None, shelf[0].name)
        assert len({one["sale_id"] for one in answer["items"]}) == SHOWN
    for one in shared:
        assert one.interleaving is not None
        assert (one.bundle_id, one.interleaving.bundle_id) == (shelf[0].name, shelf[1].name)
        teams = [team for team in one.interleaving.teams if team]
        assert abs(teams.count("serving") - teams.count("reversed")) <= 1
        assert {shown.propensity for shown in one.slate} <= {0.5, 1.0}
        for name in ("serving", "reversed") if one.customer_id in alone["serving"] else ():
            own = [item["sale_id"] for item in alone[name][one.customer_id or ""]["items"]]
            placed = [
                shown.sale_id
                for shown, team in zip(one.slate, one.interleaving.teams, strict=True)
                if team == name
            ]
            assert placed == [sale for sale in own if sale in placed]
    # Who forces one variant sees its bundle alone.
    assert {one["bundle"] for one in alone["reversed"].values()} == {shelf[1].name}


async def test_a_shared_slate_asks_the_store_as_often_as_any_other(
    stores: Stores, store_url: str, model: Model, settings: Settings, shelf: tuple[Path, Path]
) -> None:
    """Once, for the customer: catalogues of both bundles are in memory."""
    counting = counted(store_url)

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        asking = replace(stores, customers=CustomerStore(counting))
        async with resources_over(asking, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, Worker(), opener=opener)) as client:
        await interleave(client, shelf[1].name)
        await open_channel(CustomerStore(counting))
        n_asked = dict[bool, set[int]]()
        for customer in CUSTOMERS:
            before = CountingConnection.n_sent
            answer = await ask(client, customer)
            is_shared = bool(answer["assignments"])
            n_asked.setdefault(is_shared, set()).add(CountingConnection.n_sent - before)
    await counting.close()

    assert n_asked == {True: {1}, False: {1}}


def coins(record: ExposureRecord, recommendation_id: str) -> list[bool]:
    """The sides of an answer's coins, one for each pair of the record's slate."""
    assert record.interleaving is not None
    n_pairs = math.ceil(sum(team is not None for team in record.interleaving.teams) / 2)
    return [drawn < 0.5 for drawn in uniforms(seed_from(recommendation_id), n_pairs).tolist()]


async def test_shared_slates_are_made_again_bit_for_bit(
    client: httpx.AsyncClient,
    shelf: tuple[Path, Path],
    stores: Stores,
    replayer: Replayer,
    tmp_path: Path,
) -> None:
    await interleave(client, shelf[1].name, traffic_bp=10_000)
    for customer in CUSTOMERS[:20]:
        await ask(client, customer)
    records = await exported(stores.connection, tmp_path / "out", n=20)
    exposures = read_exposures(tmp_path / "out")

    again = replay_all(exposures, replayer)
    other = exposures.with_columns(recommendation_id="other-" + exposures["recommendation_id"])
    changed = replay_all(other, replayer)

    assert all(one.interleaving is not None for one in records)
    assert (again.equal, again.differing, again.impossible) == (20, {}, {})
    # Another answer has other coins, which mostly fall differently.
    fell_differently = {
        f"other-{one.recommendation_id}"
        for one in records
        if coins(one, one.recommendation_id) != coins(one, f"other-{one.recommendation_id}")
    }
    assert fell_differently
    assert set(changed.differing) == fell_differently


async def test_results_say_which_bundle_customers_prefer_and_forget_who_is_erased(
    client: httpx.AsyncClient, shelf: tuple[Path, Path], stores: Stores, tmp_path: Path
) -> None:
    """All click the first sale that the serving bundle placed."""
    await interleave(client, shelf[1].name, traffic_bp=10_000)
    clicked = CUSTOMERS[:30]
    answers = {one: await ask(client, one) for one in clicked}
    records = await exported(stores.connection, tmp_path / "out", n=len(clicked))
    for one in records:
        assert one.customer_id is not None
        assert one.interleaving is not None
        place = one.interleaving.teams.index("serving")
        answer = answers[one.customer_id]
        await click(client, one.customer_id, answer, one.slate[place].sale_id)
    erased = clicked[:5]
    before = await found(client, stores, tmp_path / "out")
    for one in erased:
        assert (await client.delete(f"/v1/customers/{one}")).status_code == 200
    after = await found(client, stores, tmp_path / "out")

    for results, n in ((before, 30), (after, 25)):
        assert results["left_out"]["units_with_an_open_window"] == n
        assert (results["first"], results["second"]) == ("serving", "reversed")
        assert results["answers"] == n
        why = f"{n} units with an open window"
        assert results["verdict"] == f"No customer can be judged yet: {why}."
        assert [one["name"] for one in results["teams"]] == ["serving", "reversed"]


async def found(client: httpx.AsyncClient, stores: Stores, out: Path) -> dict[str, Any]:
    """The results of an export; the windows of all customers are still open."""
    await export(stores.connection, out)
    answer = await client.get(RESULTS)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_bundle_that_is_not_there_is_refused_and_a_caller_list_is_shared(
    client: httpx.AsyncClient, shelf: tuple[Path, Path]
) -> None:
    refused = await interleave(client, "another")
    await interleave(client, shelf[1].name, traffic_bp=10_000)
    sales = [one["sale_id"] for one in (await ask(client, "c1", limit=N_OF_BUNDLE))["items"]]

    body = {"customer_id": "c1", "candidates": sales[:4], "limit": 4}
    ranked = await client.post("/v1/rank", json=body)

    assert (refused.status_code, refused.json()["code"]) == (409, "plan_refused")
    assert "variant reversed of both" in refused.json()["detail"]
    assert ranked.status_code == 200, ranked.text
    assert {one["sale_id"] for one in ranked.json()["items"]} == set(sales[:4])
    assert ranked.json()["assignments"][0]["variant"] == "interleaved"
