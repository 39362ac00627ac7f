"""The audit log: who changed what, by the id of the key, and no customer's id."""

import json
import logging
import sys
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Send
from starlette.types import Scope as ASGIScope

from app.api.middleware.audit import Audit
from app.observability import AUDIT_LOGGER, configure_logging
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import KeyRing, write_keys
from app.settings import Settings
from tests.shop import NDJSON

MADE = datetime(2026, 11, 24, tzinfo=UTC)
KEY_ID, KEY = new_key()
WEBSITE_ID, WEBSITE_KEY = new_key()
HEADERS = {"X-API-Key": KEY}
SALE = {"opens_at": "2026-01-01T00:00:00Z", "title": "Alps"}
CUSTOMER = "customer-4711-of-the-test"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    entry = entry_of(KEY, KEY_ID, scopes=Scope, created_at=MADE)
    website = entry_of(WEBSITE_KEY, WEBSITE_ID, scopes=[Scope.READ], created_at=MADE)
    write_keys(tmp_path / "keys.json", KeyFile(keys=(entry, website)))
    return settings.model_copy(update={"keys": tmp_path / "keys.json"})


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Generator[StringIO]:
    """Log as a service does whose operator wants errors only."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    lines = StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    configure_logging("error")
    yield lines
    root.handlers[:] = before[1]
    root.setLevel(before[0])


def changes(written: StringIO) -> list[Mapping[str, object]]:
    lines = map(json.loads, written.getvalue().splitlines())
    return [line for line in lines if line["event"] == "change"]


async def test_a_change_is_logged_with_its_key_whatever_the_level(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    await client.put("/v1/sales/a%2Fb", json=SALE, headers=HEADERS)
    await client.put("/v1/bundles/active", json={"bundle": "none"}, headers=HEADERS)
    bulk = json.dumps({"sale_id": "s1", **SALE}) + "\n{}"
    await client.post("/v1/sales", content=bulk, headers=HEADERS | NDJSON)

    said = changes(written)
    assert {line["caller"] for line in said} == {f"key {KEY_ID}"}
    assert "" not in {line["request_id"] for line in said}
    one, bundle, many = said
    assert (one["route"], one["sale_id"], one["status"]) == ("/v1/sales/{sale_id}", "a/b", 201)
    assert (bundle["route"], bundle["bundle"]) == ("/v1/bundles/active", "none")
    assert bundle["status"] == 404
    assert (many["created"], many["rejected"]) == (1, 1)


async def test_a_change_that_is_refused_is_logged_with_its_key_and_route_and_counted(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    """A stolen key of a website that tries out what it may change."""
    headers = {"X-API-Key": WEBSITE_KEY}
    for number in range(3):
        await client.put("/v1/plan", json={}, headers=headers)
        await client.delete(f"/v1/customers/{CUSTOMER}-{number}", headers=headers)
    await client.get("/v1/plan", headers=headers)
    await client.put("/v1/sales/a%2Fb", json=SALE)
    await client.post("/v1/nowhere", headers=headers)
    metrics = (await client.get("/metrics", headers=HEADERS)).text

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(one["code"], one["key"], one["method"], one["route"]) for one in lines] == [
        ("forbidden", WEBSITE_ID, "PUT", "/v1/plan"),
        ("forbidden", WEBSITE_ID, "DELETE", "/v1/customers/{customer_id}"),
        ("unauthenticated", "", "PUT", "/v1/sales/{sale_id}"),
        ("forbidden", WEBSITE_ID, "POST", "none"),
    ]
    assert {one["logger"] for one in lines} == {AUDIT_LOGGER}
    assert CUSTOMER not in written.getvalue()
    # Reading is refused and counted as well.
    assert f'refused_requests_total{{code="forbidden",key="{WEBSITE_ID}"}} 8.0' in metrics


async def test_callers_cannot_crowd_out_the_refused_changes_of_others(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    """A scanner without a key, and one with a key, try many methods and routes."""
    routes = ("/v1/plan", "/v1/sales/s1", "/v1/bundles/active", "/v1/nowhere")
    for method in ("PUT", "POST", "PROPFIND", "MKCOL", "LOCK"):
        for route in routes:
            await client.request(method, route)
    for method in ("PROPFIND", "MKCOL", "LOCK", "PUT"):
        for route in routes:
            await client.request(method, route, headers={"X-API-Key": WEBSITE_KEY})

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(one["code"], one["method"], one["route"]) for one in lines] == [
        ("unauthenticated", "PUT", "/v1/plan"),
        ("forbidden", "PROPFIND", "/v1/plan"),
        # A method and a route that belong together have a line of their own.
        ("forbidden", "PUT", "/v1/plan"),
        ("forbidden", "PUT", "/v1/sales/{sale_id}"),
        ("forbidden", "PUT", "/v1/bundles/active"),
    ]


async def test_a_change_whose_caller_left_before_its_body_had_arrived_is_no_error_of_ours(
    written: StringIO,
) -> None:
    async def broken_off(_scope: ASGIScope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        raise AssertionError

    scope: ASGIScope = {"type": "http", "method": "PUT", "path": "/v1/sales/s1", "headers": []}
    with pytest.raises(ClientDisconnect):
        await Audit(broken_off)(scope, receive, send)

    assert [line["status"] for line in changes(written)] == [499]


async def test_an_erasure_is_logged_without_the_customer(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    await client.delete(f"/v1/customers/{CUSTOMER}", headers=HEADERS)

    (line,) = changes(written)
    assert (line["method"], line["route"]) == ("DELETE", "/v1/customers/{customer_id}")
    assert datetime.fromisoformat(str(line["erased_at"])).tzinfo is not None
    assert CUSTOMER not in written.getvalue()


async def test_reading_and_events_are_no_changes(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    await client.get("/v1/recommendations", headers=HEADERS)
    await client.post("/v1/rank", json={"candidates": ["alps"]}, headers=HEADERS)
    await client.post("/v1/events", json={"events": []}, headers=HEADERS)

    assert changes(written) == []


async def test_added_and_revoked_keys_are_logged_by_their_ids(
    tmp_path: Path, written: StringIO
) -> None:
    path = tmp_path / "keys.json"
    first, second = new_key(), new_key()
    entries = {
        key_id: entry_of(key, key_id, scopes=[Scope.READ], created_at=MADE)
        for key_id, key in (first, second)
    }
    write_keys(path, KeyFile(keys=(entries[first[0]],)))
    ring = KeyRing(path)
    write_keys(path, KeyFile(keys=(entries[second[0]],)))
    await ring.follow()
    path.write_text("{")
    await ring.follow()
    write_keys(path, KeyFile(keys=(entries[second[0]],)))
    await ring.follow()

    # A file that is mended and holds the same keys is no change.
    lines = map(json.loads, written.getvalue().splitlines())
    (line,) = (one for one in lines if one["logger"] == AUDIT_LOGGER)
    assert (line["event"], line["added"], line["revoked"]) == (
        "keys changed",
        [second[0]],
        [first[0]],
    )
