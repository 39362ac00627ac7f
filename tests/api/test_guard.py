"""Authentication and scopes of a service with keys."""

import re
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.resources import Worker
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import write_keys
from app.settings import Settings

LIMIT = 5

REQUESTS = [
    ("GET", "/v1/recommendations", Scope.READ),
    ("GET", "/v1/assignments", Scope.READ),
    ("POST", "/v1/rank", Scope.READ),
    ("POST", "/v1/recommendations/batch", Scope.READ),
    ("POST", "/v1/pages", Scope.READ),
    ("GET", "/v1/sales/alps/similar", Scope.READ),
    ("POST", "/v1/events", Scope.EVENTS),
    ("GET", "/v1/sales", Scope.SALES),
    ("GET", "/v1/sales/alps", Scope.SALES),
    ("GET", "/v1/sales/alps%2Fsimilar", Scope.SALES),
    ("POST", "/v1/sales", Scope.SALES),
    ("PUT", "/v1/sales/alps", Scope.SALES),
    ("DELETE", "/v1/sales/alps", Scope.SALES),
    ("PUT", "/v1/sales/alps/image", Scope.SALES),
    ("PUT", "/v1/sales/alps/images/2", Scope.SALES),
    ("DELETE", "/v1/sales/alps/images/2", Scope.SALES),
    ("DELETE", "/v1/sales/alps/image", Scope.SALES),
    ("GET", "/v1/customers/c1", Scope.CUSTOMERS),
    ("DELETE", "/v1/customers/c1", Scope.CUSTOMERS),
    ("POST", "/v1/customers/c1/merge", Scope.CUSTOMERS),
    ("GET", "/demo/customers", Scope.CUSTOMERS),
    ("GET", "/metrics", Scope.METRICS),
    ("GET", "/v1/plan", Scope.INSPECT),
    ("GET", "/v1/experiments", Scope.INSPECT),
    ("GET", "/v1/experiments/audit", Scope.INSPECT),
    ("GET", "/v1/experiments/order", Scope.INSPECT),
    ("GET", "/v1/experiments/order/results", Scope.INSPECT),
    ("GET", "/v1/promotions", Scope.INSPECT),
    ("GET", "/v1/promotions/1", Scope.INSPECT),
    ("GET", "/v1/bundles", Scope.INSPECT),
    ("GET", "/v1/bundles/b1/card", Scope.INSPECT),
    ("GET", "/v1/nights", Scope.INSPECT),
    ("GET", "/v1/orders", Scope.INSPECT),
    ("GET", "/v1/topics", Scope.INSPECT),
    ("GET", "/v1/rules", Scope.RULES),
    ("PUT", "/v1/rules", Scope.RULES),
    ("PUT", "/v1/plan", Scope.ADMIN),
    ("PUT", "/v1/experiments/order", Scope.ADMIN),
    ("DELETE", "/v1/experiments/order", Scope.ADMIN),
    ("PUT", "/v1/bundles/active", Scope.ADMIN),
    ("POST", "/v1/bundles/rollback", Scope.ADMIN),
    ("PUT", "/v1/bundles/shadow", Scope.ADMIN),
    ("DELETE", "/v1/bundles/shadow", Scope.ADMIN),
    ("POST", "/v1/promotions", Scope.ADMIN),
    ("POST", "/v1/promotions/1/stop", Scope.ADMIN),
    ("PUT", "/v1/promotions/1/estimate", Scope.ADMIN),
    ("DELETE", "/v1/recommendations", Scope.ADMIN),
    ("GET", "/nowhere", Scope.ADMIN),
    ("POST", "/v1/insight", Scope.ADMIN),
]


@pytest.fixture
def keys(tmp_path: Path) -> Mapping[Scope, str]:
    """One key a scope; that of ``events`` may send little."""
    made = {scope: new_key() for scope in Scope}
    entries = (
        entry_of(
            key,
            key_id,
            scopes=[scope],
            created_at=datetime(2026, 11, 24, tzinfo=UTC),
            per_second=LIMIT if scope is Scope.EVENTS else None,
        )
        for scope, (key_id, key) in made.items()
    )
    write_keys(tmp_path / "keys.json", KeyFile(keys=tuple(entries)))
    return {scope: key for scope, (_, key) in made.items()}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, keys: Mapping[Scope, str]) -> Settings:
    assert keys
    return settings.model_copy(update={"keys": tmp_path / "keys.json"})


@pytest.mark.parametrize(("method", "path", "scope"), REQUESTS)
async def test_a_request_needs_a_key_of_its_scope(
    client: httpx.AsyncClient, keys: Mapping[Scope, str], method: str, path: str, scope: Scope
) -> None:
    without = await client.request(method, path)
    answers = {
        key_scope: await client.request(method, path, headers={"X-API-Key": key})
        for key_scope, key in keys.items()
    }

    assert (without.status_code, without.json()["code"]) == (401, "unauthenticated")
    assert without.headers["www-authenticate"].startswith("Bearer")
    opened = {one for one, answer in answers.items() if answer.status_code != 403}
    of_insight = {Scope.SALES, Scope.CUSTOMERS, Scope.METRICS, Scope.RULES, Scope.INSPECT}
    reads = {Scope.INSIGHT} if method == "GET" and scope in of_insight else set[Scope]()
    assert opened == {scope} | reads
    assert answers[scope].status_code not in {401, 429}
    refused = next(answer for one, answer in answers.items() if one is not scope)
    assert refused.json()["code"] == "forbidden"
    assert f"lacks the scope {scope.value!r}:" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ('category == "ski"', None),
        ("margin > 3", Scope.SALES),
        ("stock == 1", Scope.SALES),
        ("days_since_purchase < 30", Scope.CUSTOMERS),
        ('customer["tier"] == "gold"', Scope.CUSTOMERS),
    ],
)
async def test_a_filter_compares_no_value_that_its_key_may_not_read(
    client: httpx.AsyncClient, keys: Mapping[Scope, str], text: str, needed: Scope | None
) -> None:
    headers = {"X-API-Key": keys[Scope.READ]}
    rule = {"name": "r", "where": text, "action": {"kind": "boost", "odds": 2.0}}

    answers = [
        await client.get("/v1/recommendations", params={"filter": text}, headers=headers),
        await client.post(
            "/v1/recommendations/batch", json={"items": [{"filter": text}]}, headers=headers
        ),
        await client.post(
            "/v1/pages", json={"rows": [{"name": "a", "filter": text}]}, headers=headers
        ),
        await client.post(
            "/v1/pages", json={"rows": [{"name": "a", "rules": [rule]}]}, headers=headers
        ),
    ]

    for answer in answers:
        assert answer.status_code == (200 if needed is None else 403)
        assert needed is None or f"lacks the scope {needed.value!r}" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v2/health/live", "/v2"])
async def test_health_needs_no_key(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


async def test_a_key_may_come_as_a_bearer_too(
    client: httpx.AsyncClient, keys: Mapping[Scope, str]
) -> None:
    key = keys[Scope.READ]

    right = await client.get("/v1/recommendations", headers={"Authorization": f"bearer  {key}"})
    basic = await client.get("/v1/recommendations", headers={"Authorization": f"Basic {key}"})
    in_query = await client.get("/v1/recommendations", params={"api_key": key})

    assert [one.status_code for one in (right, basic, in_query)] == [200, 401, 401]


async def test_a_key_that_sends_too_much_is_told_when_to_go_on(
    client: httpx.AsyncClient, keys: Mapping[Scope, str]
) -> None:
    """More than a burst and a second's refill, however slow this machine is."""
    headers = {"X-API-Key": keys[Scope.EVENTS]}
    first = await client.post("/v1/events", headers=headers)
    answer = first
    while answer.status_code != 429:
        answer = await client.post("/v1/events", headers=headers)
    metrics = await client.get("/metrics", headers={"X-API-Key": keys[Scope.METRICS]})

    assert first.headers["ratelimit-policy"] == f'"key";q={LIMIT};w=1'
    assert first.headers["ratelimit"] == f'"key";r={LIMIT - 1};t=1'
    assert answer.json()["code"] == "rate_limited"
    assert (answer.headers["retry-after"], answer.headers["ratelimit"]) == ("1", '"key";r=0;t=1')
    key_id = keys[Scope.EVENTS].split("_")[1]
    refused = f'refused_requests_total{{code="rate_limited",key="{key_id}"}} 1.0'
    assert refused in metrics.text


async def test_a_refused_request_is_not_read(
    client: httpx.AsyncClient, keys: Mapping[Scope, str]
) -> None:
    n_read = 0

    async def body() -> AsyncGenerator[bytes]:
        nonlocal n_read
        n_read += 1
        yield b"{}"

    answer = await client.post("/v1/sales", content=body(), headers={"X-API-Key": keys[Scope.READ]})

    assert (answer.status_code, n_read) == (403, 0)


def test_every_route_but_health_is_behind_a_key_and_openapi_says_so() -> None:
    document = create_app(Settings(), Worker()).openapi()

    described = {
        (method.upper(), path): operation.get("security")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    public = {path for (_, path), security in described.items() if security is None}
    assert public == {
        "/health/live",
        "/health/full",
        "/health/ready",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{name}/ready",
    }
    assert described["POST", "/v1/events"] == [{"key": ["events"]}, {"bearer": ["events"]}]
    tried = {
        (method, re.sub(r"/(alps|b1|c1|order|1|2)(?=/|$)", "/{}", path))
        for method, path, _ in REQUESTS
    }
    behind = {one: security for one, security in described.items() if security}
    assert {(method, re.sub(r"{\w+}", "{}", path)) for method, path in behind} <= tried
