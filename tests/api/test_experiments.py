"""The plan over HTTP: changed as a whole, on record, and what visits see of it."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.stores.keys import exposures_stream, partition
from app.stores.store import Stores
from tests.api.test_recommendations import click
from tests.plans import LAYER, terms
from tests.shop import sale

PLAN = "/v1/plan"
ORDER = "/v1/experiments/order"
AUDIT = "/v1/experiments/audit"
PRICED = [sale("alps", price=90.0, currency="EUR"), sale("bali", price=80.0, currency="JPY")]
CUSTOMERS = [f"c{number}" for number in range(60)]


async def with_layer(client: httpx.AsyncClient) -> None:
    answer = await client.put(PLAN, json={"layers": [LAYER]})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"'), answer.text


async def variants(client: httpx.AsyncClient) -> dict[str, str]:
    found: dict[str, str] = {}
    for customer in CUSTOMERS:
        answer = await client.get("/v1/assignments", params={"customer_id": customer})
        found[customer] = answer.json()["items"][0]["variant"]
    return found


async def test_a_plan_without_experiments_is_the_first(client: httpx.AsyncClient) -> None:
    answer = await client.get(PLAN)

    assert (answer.json(), answer.headers["ETag"]) == ({}, '"0"')
    assert (await client.get("/v1/experiments")).json() == {"version": 0, "items": []}


async def test_an_experiment_is_created_by_shares_and_read_with_buckets(
    client: httpx.AsyncClient,
) -> None:
    await with_layer(client)

    created = await client.put(ORDER, json=terms(3_000))

    assert (created.status_code, created.headers["ETag"]) == (200, '"2"'), created.text
    assert (await client.get(ORDER)).json() == created.json()
    assert [one["buckets"] for one in created.json()["variants"]] == [
        [{"start": 0, "stop": 3_000}],
        [{"start": 3_000, "stop": 10_000}],
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ends_at": "2026-01-02T00:00:00Z"}, "order ended at 2026-01-02T00:00:00"),
        ({"starts_at": "2090-01-01T00:00:00Z", "ends_at": "2090-01-07T00:00:00Z"}, "168 hours"),
        (
            {
                "kind": "interleaving",
                "control": "a",
                "variants": [{"name": "a"}, {"name": "b"}],
            },
            "variants of order have one policy",
        ),
    ],
)
async def test_an_experiment_that_can_have_no_results_is_refused(
    client: httpx.AsyncClient, fields: dict[str, Any], reason: str
) -> None:
    await with_layer(client)

    refused = await client.put(ORDER, json=terms(**fields))

    assert (refused.status_code, refused.json()["code"]) == (409, "plan_refused")
    assert reason in refused.json()["detail"]


async def test_an_experiment_of_a_policy_with_itself_is_logged(client: httpx.AsyncClient) -> None:
    await with_layer(client)
    halves = [{"name": name, "share_bp": 5_000} for name in ("a", "b")]

    with capture_logs() as logs:
        put = await client.put(ORDER, json=terms(control="a", variants=halves))

    assert put.status_code == 200, put.text
    assert [one["experiment"] for one in logs if "A/A test" in one["event"]] == ["order"]


async def test_a_plan_may_hold_an_experiment_that_ended(client: httpx.AsyncClient) -> None:
    """Such as a file that is applied again to an emptied store: its results stay readable."""
    ended = {"name": "order", **terms(ends_at="2026-02-01T00:00:00Z")}

    put = await client.put(PLAN, json={"layers": [LAYER], "experiments": [ended]})

    assert put.status_code == 200, put.text


async def test_a_larger_share_moves_customers_into_it_only(client: httpx.AsyncClient) -> None:
    await with_layer(client)
    await client.put(ORDER, json=terms(2_000))
    before = await variants(client)

    await client.put(ORDER, json=terms(5_000))
    after = await variants(client)

    moved = {after[customer] for customer in CUSTOMERS if before[customer] != after[customer]}
    assert moved == {"popularity"}


async def test_the_start_of_an_experiment_that_runs_stays(client: httpx.AsyncClient) -> None:
    """A script that writes the present time would leave all earlier answers out."""
    await with_layer(client)
    before = (await client.put(ORDER, json=terms())).json()

    moved = await client.put(ORDER, json=terms(starts_at="2026-06-01T00:00:00Z"))
    other = {"name": "order", **terms(starts_at="2026-06-01T00:00:00Z")}
    replaced = await client.put(PLAN, json={"layers": [LAYER], "experiments": [other]})

    for refused in (moved, replaced):
        assert (refused.status_code, refused.json()["code"]) == (409, "plan_refused")
        assert "order has run since 2026-01-01T00:00:00" in refused.json()["detail"]
    assert (await client.get(ORDER)).json() == before


@pytest.mark.parametrize("path", ["assignments", "recommendations"])
async def test_two_forced_variants_of_one_layer_are_refused(
    client: httpx.AsyncClient, path: str
) -> None:
    await with_layer(client)
    halves = [{"start": 0, "stop": 5_000}], [{"start": 5_000, "stop": 10_000}]
    for name, half in zip(("order", "other"), halves, strict=True):
        experiment = terms(salt=f"{name}-1", traffic=half)
        assert (await client.put(f"/v1/experiments/{name}", json=experiment)).is_success

    forced = {"customer_id": "c1", "variant": ["order:meta", "other:popularity"]}
    refused = await client.get(f"/v1/{path}", params=forced)

    assert (refused.status_code, refused.json()["code"]) == (409, "exclusive_variants")
    assert "order and other" in refused.json()["detail"]


async def test_two_forced_variants_of_one_experiment_are_refused_and_one_said_twice_is_not(
    client: httpx.AsyncClient,
) -> None:
    await with_layer(client)
    assert (await client.put("/v1/experiments/order", json=terms())).is_success

    both = await all_forced(client, ["order:meta", "order:popularity"])
    twice = await all_forced(client, ["order:meta", "order:meta"])

    assert [(one.status_code, one.json()["code"]) for one in both] == [
        (409, "exclusive_variants")
    ] * 3
    assert "is forced to 'meta' and 'popularity'" in both[0].json()["detail"]
    assert [one.status_code for one in twice] == [200] * 3


async def all_forced(client: httpx.AsyncClient, pairs: list[str]) -> list[httpx.Response]:
    """Every route that takes forced variants, asked with these."""
    query: dict[str, str | list[str]] = {"customer_id": "c1", "variant": pairs}
    return [
        await client.get("/v1/assignments", params=query),
        await client.get("/v1/recommendations", params=query),
        await client.post("/v1/rank", json={**query, "candidates": ["s1"]}),
    ]


async def test_assignments_are_those_of_answers_and_expose_nobody(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await with_layer(client)
    await client.put(ORDER, json=terms())

    routed = (await client.get("/v1/assignments", params={"customer_id": "c1"})).json()
    stream = exposures_stream(partition("c1"))
    assert await stores.connection.execute("XLEN", stream, doing="looking") == 0
    answer = (await client.get("/v1/recommendations", params={"customer_id": "c1"})).json()

    assert routed["version"] == 2
    assert [(one["experiment"], one["variant"]) for one in routed["items"]] == [
        (one["experiment"], one["variant"]) for one in answer["assignments"]
    ]


async def test_a_customer_keeps_the_variants_of_the_visitor_who_was_there_first(
    client: httpx.AsyncClient,
) -> None:
    await with_layer(client)
    await client.put(ORDER, json=terms())
    url, both = "/v1/assignments", ("v1", "c1")
    event = click("e1", "s1", customer_id="v1")
    await client.post("/v1/events", json={"events": [event]})
    before = (await client.get(url, params={"customer_id": "v1"})).json()["items"]

    await client.post("/v1/customers/c1/merge", json={"guest_id": "v1"})

    after = [(await client.get(url, params={"customer_id": one})).json()["items"] for one in both]
    answer = (await client.get("/v1/recommendations", params={"customer_id": "c1"})).json()
    assert before
    assert after == [before, before]
    assert [one["variant"] for one in answer["assignments"]] == [one["variant"] for one in before]


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"layer": "elsewhere"}, "plan_refused", "in layer 'elsewhere', which the plan lacks"),
        ({"control": "none"}, "plan_refused", "control 'none' is no variant"),
        (
            {"variants": [{"name": "popularity", "share_bp": 10_000, "policy": {"bundle": "b9"}}]},
            "plan_refused",
            "variant popularity of order is refused and nothing changed: no bundle 'b9'",
        ),
    ],
)
async def test_what_contradicts_itself_is_refused_with_the_reason(
    client: httpx.AsyncClient, change: Mapping[str, Any], code: str, reason: str
) -> None:
    await with_layer(client)

    answer = await client.put(ORDER, json=terms(**change))

    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert reason in answer.json()["detail"]
    assert (await client.get(PLAN)).headers["ETag"] == '"1"'


async def test_shares_that_do_not_sum_are_malformed(client: httpx.AsyncClient) -> None:
    variants = [{"name": "popularity", "share_bp": 9_999}]

    answer = await client.put(ORDER, json=terms(variants=variants))

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert "must sum to 10000, got 9999" in answer.json()["detail"]


async def test_a_change_of_a_plan_that_is_another_one_by_now_is_refused(
    client: httpx.AsyncClient,
) -> None:
    await with_layer(client)
    meant = {"If-Match": '"1"'}
    await client.put(ORDER, json=terms(), headers=meant)

    answer = await client.put(ORDER, json=terms(1_000), headers=meant)

    assert (answer.status_code, answer.json()["code"]) == (412, "plan_changed")
    assert (await client.get(ORDER)).json()["variants"][0]["buckets"] == [
        {"start": 0, "stop": 5_000}
    ]


async def test_an_experiment_that_runs_ends_and_is_removed_after_that(
    client: httpx.AsyncClient,
) -> None:
    await with_layer(client)
    await client.put(ORDER, json=terms())

    ended = await client.delete(ORDER)
    # An answer's moment is the store's clock, which ended it; that of a routing alone may lag.
    answer = await client.get("/v1/recommendations", params={"customer_id": "c1"})
    assert "ends_at" in ended.json()["experiments"][0]
    assert answer.json()["assignments"] == []
    await client.delete(ORDER)

    answer = await client.get(ORDER)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_experiment")


async def test_every_change_is_on_record(client: httpx.AsyncClient) -> None:
    await with_layer(client)
    await client.put(ORDER, json=terms(2_000))
    await client.put(ORDER, json=terms(3_000))

    latest, created, _ = (await client.get(AUDIT)).json()["items"]

    assert (latest["doing"], latest["before"], latest["after"]) == ("put experiment order", 2, 3)
    assert latest["who"]
    assert latest["changes"] == [
        'experiment order, variant meta: 8000 bp {"order_by":"meta"} → 7000 bp {"order_by":"meta"}',
        'experiment order, variant popularity: 2000 bp {"order_by":"popularity"} → 3000 bp '
        '{"order_by":"popularity"}',
    ]
    assert "experiment order, control: – → popularity" in created["changes"]


@pytest.fixture
async def of_two_currencies(stores: Stores) -> None:
    await stores.sales.put(PRICED)


@pytest.mark.usefixtures("of_two_currencies", "client")
@pytest.mark.parametrize(
    ("order_by", "named"),
    [("meta-revenue", [("EUR", "JPY")]), ("meta-margin", [("EUR", "JPY")]), ("meta", [])],
)
async def test_a_plan_by_money_is_taken_and_the_log_names_the_currencies_that_it_compares(
    client: httpx.AsyncClient, order_by: str, named: list[tuple[str, str]]
) -> None:
    with capture_logs() as lines:
        put = await client.put(PLAN, json={"default": {"order_by": order_by}})

    assert put.status_code == 200, put.text
    assert [line["currencies"] for line in lines if "currencies" in line] == named


@pytest.mark.usefixtures("of_two_currencies", "client")
async def test_an_experiment_by_money_is_taken_and_the_log_names_the_currencies(
    client: httpx.AsyncClient,
) -> None:
    await with_layer(client)
    order = terms()
    order["variants"][0]["policy"] = {"order_by": "meta-revenue"}

    with capture_logs() as lines:
        put = await client.put(ORDER, json=order)

    assert put.status_code == 200, put.text
    assert [line["currencies"] for line in lines if "currencies" in line] == [("EUR", "JPY")]
