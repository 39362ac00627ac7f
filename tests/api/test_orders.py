"""`GET /v1/orders`: what each recommender would show, beside the meta-model."""

from datetime import UTC, datetime

import httpx
import pytest

from app.stores.store import Stores
from models.domain.event import EventType
from tests.shop import JSON


def names(answer: httpx.Response) -> list[str]:
    return [one["name"] for one in answer.json()["orders"]]


def sales_of(answer: httpx.Response, name: str) -> list[str]:
    (order,) = [one for one in answer.json()["orders"] if one["name"] == name]
    return [item["sale_id"] for item in order["items"]]


async def click(client: httpx.AsyncClient, sale_id: str) -> None:
    now = datetime.now(UTC).isoformat()
    event = {"event_id": "e1", "customer_id": "c1", "type": EventType.CLICK, "sale_id": sale_id}
    sent = await client.post("/v1/events", json={"events": [{**event, "at": now}]}, headers=JSON)
    assert sent.json()["accepted"] == 1


async def test_the_meta_model_and_every_recommender_have_an_order(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/v1/orders", params={"limit": 3})

    assert answer.json()["bundle"] == "by-hand"
    assert {"meta", "popularity", "content"} <= {*names(answer)}
    assert len(sales_of(answer, "meta")) == 3


async def test_the_meta_model_orders_as_recommendations_do(client: httpx.AsyncClient) -> None:
    """The model made by hand prefers the category that was opened."""
    await click(client, "alps")
    visit = {"customer_id": "c1", "limit": 5}

    orders = await client.get("/v1/orders", params=visit)
    shown = (await client.get("/v1/recommendations", params=visit)).json()["items"]

    (meta,) = [one for one in orders.json()["orders"] if one["name"] == "meta"]
    assert [one["sale_id"] for one in meta["items"]] == [one["sale_id"] for one in shown]
    # The click is a little older when it is asked for the second time.
    assert [one["purchase_probability"] for one in meta["items"]] == pytest.approx(
        [one["purchase_probability"] for one in shown], rel=1e-6
    )
    assert {*sales_of(orders, "meta")[:2]} == {"alps", "tignes"}


async def test_only_sales_of_the_market_are_ordered(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/orders", params={"market": "uk", "limit": 50})

    assert "nice" not in sales_of(answer, "meta")
    assert "alps" in sales_of(answer, "meta")


async def test_nothing_is_logged(client: httpx.AsyncClient) -> None:
    before = (await client.get("/metrics")).text.count("vitrine_answer_seconds_count{")
    await client.get("/v1/orders", params={"customer_id": "c1"})
    after = (await client.get("/metrics")).text.count("vitrine_answer_seconds_count{")

    assert before == after == 0


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 51}, {"unknown": 1}, {"market": ""}])
async def test_other_parameters_are_refused(
    client: httpx.AsyncClient, params: dict[str, object]
) -> None:
    answer = await client.get("/v1/orders", params={k: str(v) for k, v in params.items()})

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_a_store_that_hangs_is_said_and_is_no_fault_of_the_service(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    # Longer than the longest wait, which is two seconds.
    await stores.connection.execute("CLIENT PAUSE", 3_000, doing="pausing the store")

    answer = await client.get("/v1/orders?customer_id=c1")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
