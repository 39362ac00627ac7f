"""GET and POST /v1/sales: page by page, and many at once."""

import asyncio
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest

from app.catalogue.model import Model
from app.resources import POOL_THREADS, Worker, resources_over
from app.settings import Settings
from app.stores.store import Stores
from tests.shop import (
    NDJSON,
    sale,
)

URL = "/v1/sales"
WITHIN_S = 30.0
OPENS = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def lines(*sales: object) -> bytes:
    return b"\n".join(map(orjson.dumps, sales)) + b"\n"


async def listed(client: httpx.AsyncClient, **parameters: str | int) -> list[str]:
    """All sales of all pages."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(URL, params={**parameters, **cursor})
        assert answer.status_code == 200, answer.text
        ids += [item["sale"]["sale_id"] for item in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            return ids
        cursor = {"cursor": answer.json()["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_all_pages_together_hold_every_sale_once(
    client: httpx.AsyncClient, limit: int
) -> None:
    assert sorted(await listed(client, limit=limit)) == ["alps", "bali", "nice", "rome", "tignes"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"market": "de"}, ["alps", "bali", "rome", "tignes"]),
        ({"market": "fr", "open": "true"}, ["alps", "bali", "nice", "rome", "tignes"]),
        ({"open": "false"}, []),
    ],
)
async def test_only_what_was_asked_for_is_listed(
    client: httpx.AsyncClient, parameters: dict[str, str], expected: list[str]
) -> None:
    assert sorted(await listed(client, limit=2, **parameters)) == expected


async def test_what_comes_and_goes_between_pages_hides_nothing(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    first = (await client.get(URL, params={"limit": 2})).json()
    seen = [item["sale"]["sale_id"] for item in first["items"]]
    await stores.sales.delete(seen[0])
    await stores.sales.put([sale(f"new-{number}") for number in range(20)])
    async with asyncio.timeout(10.0):
        while len(await listed(client)) < 24:
            pass

    rest = await client.get(URL, params={"cursor": first["next_cursor"], "limit": 100})

    later = [item["sale"]["sale_id"] for item in rest.json()["items"]]
    assert {"alps", "bali", "nice", "rome", "tignes"} <= {*seen, *later}
    assert len(set(later)) == len(later)


async def test_every_line_has_its_result(client: httpx.AsyncClient, stores: Stores) -> None:
    known = (await stores.sales.read_many(["alps"]))["alps"]
    body = lines(
        {"sale_id": "new", "opens_at": OPENS},
        known.model_dump(mode="json"),
        {"sale_id": "rome", "opens_at": OPENS, "stock": 0},
        {"sale_id": "broken", "price": -1},
        {"sale_id": "new", "opens_at": OPENS, "title": "A better title"},
    )

    answer = (await client.post(URL, content=b"\n" + body + b"\nno JSON", headers=NDJSON)).json()

    assert [(one["line"], one["sale_id"], one["status"]) for one in answer["results"]] == [
        (2, "new", "created"),
        (3, "alps", "unchanged"),
        (4, "rome", "updated"),
        (5, None, "rejected"),
        (6, "new", "updated"),
        (8, None, "rejected"),
    ]
    assert answer["results"][3]["reason"] == (
        "price: Input should be greater than or equal to 0; opens_at: Field required"
    )
    counts = {name: answer[name] for name in ("created", "updated", "unchanged", "rejected")}
    assert counts == {"created": 1, "updated": 2, "unchanged": 1, "rejected": 2}
    stored = await stores.sales.read_many(["new", "rome", "broken"])
    assert stored["new"].title == "A better title"
    assert stored["rome"].sold_out_at is not None
    assert "broken" not in stored


async def test_to_repeat_a_bulk_changes_nothing(client: httpx.AsyncClient) -> None:
    body = lines(*({"sale_id": f"s{n}", "opens_at": OPENS, "stock": n % 2} for n in range(1_200)))
    first = (await client.post(URL, content=body, headers=NDJSON)).json()

    again = (await client.post(URL, content=body, headers=NDJSON)).json()

    assert (first["created"], again["unchanged"]) == (1_200, 1_200)


async def test_a_market_too_many_is_rejected_by_line(client: httpx.AsyncClient) -> None:
    body = lines(
        {"sale_id": "s1", "opens_at": OPENS, "markets": [f"m{n}" for n in range(62)]},
        {"sale_id": "s2", "opens_at": OPENS, "markets": ["one more"]},
        {"sale_id": "s3", "opens_at": OPENS},
    )

    answer = (await client.post(URL, content=body, headers=NDJSON)).json()

    assert [one["status"] for one in answer["results"]] == ["created", "rejected", "created"]
    assert "more than 63 markets with sale 's2'" in answer["results"][1]["reason"]


@pytest.mark.parametrize("body", [b"", b"\n\n", b"{}\n" * 5_001])
async def test_no_lines_and_too_many_are_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(URL, content=body, headers=NDJSON)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert "send 1 to 5000 sales at once" in answer.json()["detail"]


@pytest.mark.parametrize("parameters", [{"cursor": "x"}, {"limit": 1_001}, {"cusor": "x"}])
async def test_a_malformed_question_is_refused(
    client: httpx.AsyncClient, parameters: dict[str, str | int]
) -> None:
    assert (await client.get(URL, params=parameters)).status_code == 422


async def test_a_sold_out_sale_goes_while_bundles_and_results_take_their_time(
    stores: Stores, model: Model, settings: Settings, worker: Worker
) -> None:
    """A large bundle is read for a minute, and so are the exports of a month."""
    async with resources_over(stores, model, settings=settings, worker=worker) as resources:
        end: Future[None] = Future()
        busy = [resources.active_bundle.pool.submit(end.result) for _ in range(POOL_THREADS)]
        try:
            await stores.sales.put([sale("alps", sold_out_at=OPENS)])
            async with asyncio.timeout(WITHIN_S):
                await resources.live.refresh()
        finally:
            end.set_result(None)

        served = resources.live.served

    assert len(busy) == POOL_THREADS
    assert served is not None
    assert [one.sale_id for one in served.catalogue.sales if one.sold_out_at] == ["alps"]
