"""Ids in paths may hold any character that ids may."""

from urllib.parse import quote

import httpx
import pytest

from tests.api.test_recommendations import click, sale_ids

OPENS = {"opens_at": "2026-01-01T00:00:00Z"}

IDS = ["FR/2026/7", "a/b+c==", "/", "a/image", "a%2Fb", "x?y#z", "客户/7 ü", ".."]


@pytest.mark.parametrize("customer_id", IDS)
async def test_a_customer_is_erased_whatever_his_id(
    client: httpx.AsyncClient, customer_id: str
) -> None:
    url = f"/v1/customers/{quote(customer_id, safe='').replace('.', '%2E')}"
    top = sale_ids(await client.get("/v1/recommendations"))[0]
    await client.post(
        "/v1/events", json={"events": [{**click("e1", top), "customer_id": customer_id}]}
    )

    known, erasure = await client.get(url), await client.delete(url)

    assert (known.json()["customer_id"], len(known.json()["events"])) == (customer_id, 1)
    assert (erasure.json()["customer_id"], erasure.json()["events"]) == (customer_id, 1)


@pytest.mark.parametrize("sale_id", IDS)
async def test_a_sale_is_put_read_and_deleted_whatever_its_id(
    client: httpx.AsyncClient, sale_id: str
) -> None:
    url = f"/v1/sales/{quote(sale_id, safe='').replace('.', '%2E')}"

    put = await client.put(url, json=OPENS)
    read = await client.get(url)
    deleted = await client.delete(url)

    assert (put.status_code, put.json()["sale_id"]) == (201, sale_id)
    assert read.json()["sale"]["sale_id"] == sale_id
    assert deleted.status_code == 204


async def test_a_slash_that_is_not_encoded_parts_the_path(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/customers/a/b")).status_code == 404


async def test_the_metrics_name_the_route_of_an_id_with_a_slash(client: httpx.AsyncClient) -> None:
    await client.get("/v1/customers/a%2fb")

    metrics = (await client.get("/metrics")).text
    assert 'route="/v1/customers/{customer_id}"' in metrics


async def test_an_encoded_slash_leads_to_no_other_route(client: httpx.AsyncClient) -> None:
    hidden = await client.get("/v1%2Fsales")

    assert (hidden.status_code, hidden.json()["code"]) == (404, "not_found")
