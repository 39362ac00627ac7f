"""Markets as websites write them: the same in any case, and never an empty page without a word."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import httpx
import pytest

from app.stores.store import Stores
from tests.shop import sale

URL = "/v1/recommendations"
CLOSED = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def stores(store_url: str) -> AsyncGenerator[Stores]:
    """A shop whose sales are all of named markets; that of Italy is closed."""
    stores = Stores.open(store_url, timeout_s=10.0)
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await stores.sales.put(
        [
            sale("nice", markets=("FR", "de")),
            sale("bonn", markets=("de ",)),
            sale("rome", markets=("it",), sold_out_at=CLOSED),
        ]
    )
    yield stores
    await stores.server.close()


def sale_ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(item["sale_id"] for item in answer.json()["items"])


async def metric(client: httpx.AsyncClient) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    name = "vitrine_unknown_markets_total "
    return float(next(line for line in lines if line.startswith(name)).removeprefix(name))


@pytest.mark.parametrize("written_as", ["fr", "FR", "Fr", " fr", "fr "])
async def test_a_market_is_the_same_however_it_is_written(
    written_as: str, client: httpx.AsyncClient
) -> None:
    market = {"market": written_as}
    body = {"candidates": ["nice", "bonn"], "market": written_as}

    assert sale_ids(await client.get(URL, params=market)) == ["nice"]
    assert sale_ids(await client.post("/v1/rank", json=body)) == ["nice"]
    listed = (await client.get("/v1/sales", params=market)).json()["items"]
    assert [one["sale"]["sale_id"] for one in listed] == ["nice"]


async def test_a_market_of_no_sale_is_refused_and_the_likest_are_named(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(URL, params={"market": "frr"})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_market")
    assert "no sale is of market 'frr': sales are of 'fr'" in answer.json()["detail"]
    assert await metric(client) == 1


async def test_a_market_of_no_sale_leaves_the_reasons_to_a_list_of_candidates(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/v1/rank", json={"candidates": ["nice"], "market": "atlantis"})

    assert answer.json()["left_out"] == [{"sale_id": "nice", "reason": "other_market"}]
    assert await metric(client) == 1


async def test_a_market_without_an_open_sale_is_named_in_the_answer(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(URL, params={"market": "it"})

    assert (sale_ids(answer), answer.json()["degraded"]) == ([], "empty")
    assert await metric(client) == 0


async def test_an_event_and_a_sale_are_kept_with_their_market_in_one_form(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    body = {"opens_at": "2026-01-01T00:00:00Z", "markets": ["FR"]}
    put = await client.put("/v1/sales/lyon", json=body)

    assert put.json()["markets"] == ["fr"]
    stored = await stores.sales.read("nice")
    assert stored is not None
    assert stored.sale.markets == ("fr", "de")
