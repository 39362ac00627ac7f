"""Whom an experiment reaches over HTTP: its units, its audience, its time."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.plans import LAYER, terms

NEXT_YEAR = datetime.now(UTC) + timedelta(days=365)


async def begin(client: httpx.AsyncClient, *, unit: str = "customer", **fields: object) -> None:
    planned = await client.put("/v1/plan", json={"layers": [{**LAYER, "unit": unit}]})
    assert planned.status_code == 200, planned.text
    begun = await client.put("/v1/experiments/order", json={**terms(), **fields})
    assert begun.status_code == 200, begun.text


async def routed(client: httpx.AsyncClient, path: str = "recommendations", **asked: str) -> bool:
    answer = await client.get(f"/v1/{path}", params=asked)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return bool(body["items"] if path == "assignments" else body["assignments"])


async def click(client: httpx.AsyncClient, customer: str) -> None:
    event = {
        "event_id": f"click-{customer}",
        "customer_id": customer,
        "type": "click",
        "sale_id": "alps",
        "at": datetime.now(UTC).isoformat(),
    }
    told = await client.post("/v1/events", json={"events": [event]})
    assert told.json()["accepted"] == 1, told.text


@pytest.mark.parametrize("path", ["recommendations", "assignments"])
@pytest.mark.parametrize("unit", ["customer", "session", "device"])
async def test_only_who_names_the_unit_takes_part(
    client: httpx.AsyncClient, unit: str, path: str
) -> None:
    await begin(client, unit=unit)
    others = {"customer", "session", "device"} - {unit}

    assert await routed(client, path, **{f"{unit}_id": "u1"})
    assert not await routed(client, path, **{f"{other}_id": "u1" for other in others})


@pytest.mark.parametrize("path", ["recommendations", "assignments"])
async def test_a_customer_returns_with_his_first_event(
    client: httpx.AsyncClient, path: str
) -> None:
    await begin(client, audience={"visitors": "returning"})
    before = await routed(client, path, customer_id="c1")

    await click(client, "c1")

    assert (before, await routed(client, path, customer_id="c1")) == (False, True)
    assert not await routed(client, path, customer_id="c2")


@pytest.mark.parametrize(
    ("asked", "takes_part"),
    [
        ({"market": "fr", "device": "mobile"}, True),
        ({"market": "de", "device": "mobile"}, False),
        ({"market": "fr", "device": "desktop"}, False),
        ({"market": "fr"}, False),
    ],
)
async def test_market_and_device_decide(
    client: httpx.AsyncClient, asked: dict[str, str], *, takes_part: bool
) -> None:
    await begin(client, audience={"markets": ["fr"], "devices": ["mobile"]})

    assert await routed(client, customer_id="c1", **asked) is takes_part


@pytest.mark.parametrize(
    "times",
    [
        {"starts_at": NEXT_YEAR.isoformat()},
        {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"},
    ],
)
async def test_before_its_start_and_after_its_end_nobody_is_in_it(
    client: httpx.AsyncClient, times: dict[str, str]
) -> None:
    # A plan may hold what is over, as one that is restored does.
    plan = {"layers": [LAYER], "experiments": [{"name": "order", **terms(), **times}]}
    assert (await client.put("/v1/plan", json=plan)).status_code == 200

    assert not await routed(client, customer_id="c1")
    forced = {"customer_id": "c1", "variant": "order:meta"}
    answer = await client.get("/v1/recommendations", params=forced)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_variant")
    assert (await client.get("/v1/experiments/order")).status_code == 200
