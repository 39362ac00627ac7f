"""Results of an experiment over HTTP, from what the service itself exported."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.export import export
from app.settings import Settings
from app.stores.connection import Connection
from app.stores.keys import N_PARTITIONS, exposures_stream
from tests.plans import LAYER, terms

N_CUSTOMERS = 40
RESULTS = "/v1/experiments/order/results"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        exports=tmp_path / "out",
        read_timeout_ms=5_000,
        deadline_ms=10_000,
        explored_share=0,
    )


async def bought_by(client: httpx.AsyncClient, customer: str) -> str:
    """Have a customer look at the page and buy the first sale; return the variant."""
    answer = await client.get("/v1/recommendations", params={"customer_id": customer})
    body = answer.json()
    event = {
        "event_id": f"bought-{customer}",
        "customer_id": customer,
        "type": "purchase",
        "sale_id": body["items"][0]["sale_id"],
        "at": datetime.now(UTC).isoformat(),
        "revenue": 100.0,
        "exposure_id": body["recommendation_id"],
    }
    told = await client.post("/v1/events", json={"events": [event]})
    assert told.json()["accepted"] == 1, told.text
    assigned = await client.get("/v1/assignments", params={"customer_id": customer})
    return str(assigned.json()["items"][0]["variant"])


async def everything_written(connection: Connection) -> None:
    while True:
        lengths = await connection.execute_many(
            [("XLEN", exposures_stream(p)) for p in range(N_PARTITIONS)], doing="looking"
        )
        if sum(n for n in lengths if isinstance(n, int)) >= N_CUSTOMERS:
            return
        await asyncio.sleep(0.02)


async def test_results_count_the_customers_of_every_variant(
    client: httpx.AsyncClient, store_url: str, tmp_path: Path
) -> None:
    await client.put("/v1/plan", json={"layers": [LAYER]})
    created = await client.put("/v1/experiments/order", json=terms(5_000))
    assert created.status_code == 200, created.text
    seen = [await bought_by(client, f"c{number}") for number in range(N_CUSTOMERS)]
    connection = Connection.open(store_url)
    await everything_written(connection)
    await export(connection, tmp_path / "out")
    await connection.close()

    answer = await client.get(RESULTS)

    assert answer.status_code == 200, answer.text
    variants = {one["name"]: one for one in answer.json()["variants"]}
    assert {name: one["exposed"] for name, one in variants.items()} == {
        name: seen.count(name) for name in ("meta", "popularity")
    }
    # No customer's week of attribution is over yet.
    assert [one["analysed"] for one in variants.values()] == [0, 0]
    assert answer.json()["left_out"]["units_with_an_open_window"] == N_CUSTOMERS


async def test_the_experiment_decides_its_window_and_the_answer_says_a_verdict(
    client: httpx.AsyncClient, store_url: str, tmp_path: Path
) -> None:
    """Windows of 36 ms are over once the last customer was exported."""
    await client.put("/v1/plan", json={"layers": [LAYER]})
    results = {"window_hours": 0.00001, "planned_units": 500}
    created = await client.put("/v1/experiments/order", json=terms(5_000, results=results))
    assert created.json()["results"] == results
    for number in range(N_CUSTOMERS):
        await bought_by(client, f"c{number}")
    connection = Connection.open(store_url)
    await everything_written(connection)
    await export(connection, tmp_path / "out")
    await connection.close()

    found = (await client.get(RESULTS)).json()

    assert (found["rules"]["window_hours"], found["rules"]["planned_units"]) == (0.00001, 500)
    assert sum(one["analysed"] for one in found["variants"]) > 0
    assert [one["outcome"] for one in found["verdicts"]] == ["undecided"]
    assert "meta" in found["verdicts"][0]["text"]


async def test_without_an_export_there_are_no_results(client: httpx.AsyncClient) -> None:
    await client.put("/v1/plan", json={"layers": [LAYER]})
    await client.put("/v1/experiments/order", json=terms(5_000))

    answer = await client.get(RESULTS)

    assert (answer.status_code, answer.json()["code"]) == (409, "no_results")


async def test_an_unknown_experiment_has_no_results(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/experiments/none/results")).status_code == 404
