"""GET and DELETE /v1/customers/{customer_id}."""

import base64
from datetime import datetime
from typing import cast

import httpx
import numpy as np

from app.stores.keys import CustomerKeys
from app.stores.store import Stores
from models.domain.customer_list import CustomerList
from models.domain.event import from_us, key
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.domain.units import DAY_US
from tests.api.test_recommendations import click, exposures, sale_ids

URL = "/v1/customers/c1"


async def test_what_is_known_of_a_customer_is_told(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    keys = np.array([key("alps"), key("alps"), key("gone")], dtype=np.uint64)
    days = np.array([20_000, 20_030, 20_001]) * DAY_US
    bought = PurchaseHistory.from_purchases(keys, days).pack()
    counts = (9, 8, 7, 6, 5, 0, 0, 0, 0, 0)
    profile = Profile(1_700_000_000_000_000, counts, bought, {"age": 41.0, "tier": "gold"})
    await stores.connection.execute(
        "SET", CustomerKeys.for_customer("c1").profile, profile.pack(), doing="setting up"
    )
    known, unknown = click("e1", "alps"), click("e2", "elsewhere")
    shown = {**click("e3", "rome"), "type": "impression", "position": 4}
    await client.post("/v1/events", json={"events": [known, unknown, shown]})

    listed = CustomerList.from_sales(1_700_000_000_000_000, ["rome", "gone"])
    await stores.lists.put({"c1": listed})

    body = (await client.get(URL)).json()

    assert body["listed"] == ["rome", None]
    assert [(event["type"], event["sale_id"]) for event in body["events"]] == [
        ("click", "alps"),
        ("click", None),
    ]
    assert body["events"][1]["sale_key"] == f"{key('elsewhere'):016x}"
    assert datetime.fromisoformat(body["events"][0]["at"]) == datetime.fromisoformat(known["at"])
    assert datetime.fromisoformat(body["profile"]["first_at"]) == from_us(profile.first_us)
    assert body["profile"]["counts"] == {
        "impression": 9,
        "view": 8,
        "click": 7,
        "cart": 6,
        "purchase": 5,
        **dict.fromkeys(("favourite", "refund", "dislike", "search", "email_open"), 0),
    }
    assert body["profile"]["attributes"] == {"age": 41.0, "tier": "gold"}
    alps = next(one for one in body["profile"]["bought"] if one["sale_id"] == "alps")
    assert (alps["days"], alps["first_on"], alps["last_on"]) == (2, "2024-10-04", "2024-11-03")
    assert {one["sale_id"] for one in body["profile"]["bought"]} == {"alps", None}
    [last] = body["shown"]
    assert last["position"] == 4
    assert (last["sale_id"], last["sale_key"]) == ("rome", f"{key('rome'):016x}")
    shown_at = datetime.fromisoformat(str(shown["at"])).replace(microsecond=0)
    assert datetime.fromisoformat(last["at"]) == shown_at
    assert body["expires_at"] is not None


async def test_nothing_is_known_of_a_stranger(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL)

    assert answer.status_code == 200
    assert answer.json() == {
        "customer_id": "c1",
        "events": [],
        "shown": [],
        "profile": None,
        "listed": [],
        "guests": [],
        "remembered": 0,
        "expires_at": None,
    }


async def test_an_erased_customer_is_a_stranger_whatever_comes_late(
    client: httpx.AsyncClient,
) -> None:
    before = await client.get("/v1/recommendations", params={"customer_id": "c1"})
    late = click("e2", sale_ids(before)[-1])
    shown = {**click("e3", "rome"), "type": "impression"}
    await client.post("/v1/events", json={"events": [click("e1", sale_ids(before)[-1]), shown]})

    erasure = (await client.delete(URL)).json()
    refused = (await client.post("/v1/events", json={"events": [late]})).json()

    after = await client.get("/v1/recommendations", params={"customer_id": "c1"})
    assert (erasure["events"], erasure["shown"], erasure["profile"]) == (1, 1, False)
    assert erasure["remembered"] == 2
    assert (refused["erased"], refused["results"][0]["status"]) == (1, "erased")
    assert sale_ids(after) == sale_ids(before)
    known = (await client.get(URL)).json()
    assert (known["events"], known["shown"]) == ([], [])


async def test_a_visitor_who_logs_in_is_one_customer_with_their_new_id(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/v1/events", json={"events": [{**click("e1", "alps"), "customer_id": "v1"}]})

    merged = await client.post(f"{URL}/merge", json={"guest_id": "v1"})

    assert merged.status_code == 200
    body = merged.json()
    assert (body["customer_id"], body["guest_id"]) == ("c1", "v1")
    for customer_id in ("c1", "v1"):
        known = (await client.get(f"/v1/customers/{customer_id}")).json()
        assert known["customer_id"] == "c1"
        assert [one["sale_id"] for one in known["events"]] == ["alps"]
        assert known["guests"] == [{"guest_id": "v1", "merged_at": body["merged_at"]}]


async def test_a_visitor_of_another_customer_is_not_merged(client: httpx.AsyncClient) -> None:
    await client.post(f"{URL}/merge", json={"guest_id": "v1"})

    refused = await client.post("/v1/customers/c2/merge", json={"guest_id": "v1"})

    assert refused.status_code == 409
    assert refused.json()["code"] == "merge_refused"
    assert "another customer" in refused.json()["detail"]


async def test_answers_and_records_of_a_merged_visitor_are_the_customers(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await client.post("/v1/events", json={"events": [{**click("e1", "alps"), "customer_id": "v1"}]})
    await client.post(f"{URL}/merge", json={"guest_id": "v1"})

    params = {"customer_id": "v1", "limit": 1}

    shown = sale_ids(await client.get("/v1/recommendations", params=params))

    [record] = await exposures(stores, "c1")
    assert record["customer_id"] == "c1"
    assert [one["sale_id"] for one in cast("list[dict[str, object]]", record["slate"])] == shown
    assert base64.b64decode(cast("str", record["window"])) == (
        (await stores.customers.read("c1")).window.pack()
    )


async def test_an_erasure_names_the_other_ids_that_went(client: httpx.AsyncClient) -> None:
    await client.post(f"{URL}/merge", json={"guest_id": "v1"})

    erased = (await client.delete("/v1/customers/v1")).json()

    assert (erased["customer_id"], erased["others"]) == ("v1", ["c1"])
    assert (await client.get("/v1/customers/v1")).json()["customer_id"] == "v1"
