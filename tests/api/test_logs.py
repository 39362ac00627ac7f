"""Log lines of requests: they identify the request, not the customer."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.catalogue.model import Model
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import write_keys
from app.settings import Settings
from app.stores.keys import CustomerKeys
from app.stores.store import Stores
from tests.shop import (
    JSON,
    CategoryRanker,
    scorer,
)

CUSTOMER = "customer-4711-of-the-test"
SESSION = "session-0815-of-the-test"
WRONG = "vitrine_00000000_" + "wrong"
KEY_ID, KEY = new_key()
KEY_SCOPES = [Scope.READ, Scope.EVENTS, Scope.CUSTOMERS, Scope.ADMIN]


@dataclass(frozen=True)
class MoodyRanker(CategoryRanker):
    """A model that fails where it is asked why."""

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        msg = f"no reasons for {len(matrix)} sales today"
        raise ArithmeticError(msg)


@pytest.fixture
def model() -> Model:
    return Model(scorer=scorer(ranker=MoodyRanker()))


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Every request is a slow one."""
    made = datetime(2026, 11, 24, tzinfo=UTC)
    entry = entry_of(KEY, KEY_ID, scopes=KEY_SCOPES, created_at=made)
    write_keys(tmp_path / "keys.json", KeyFile(keys=(entry,)))
    return settings.model_copy(update={"keys": tmp_path / "keys.json", "slow_request_ms": 0})


def event(**fields: object) -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    known = {"event_id": f"{CUSTOMER}-1", "type": "click", "sale_id": "alps", "at": now}
    return {**known, "customer_id": CUSTOMER, "session_id": SESSION, **fields}


async def visit(client: httpx.AsyncClient) -> list[int]:
    """Ask for everything, rightly and wrongly; return the statuses."""
    key, who = {"X-API-Key": KEY}, {"customer_id": CUSTOMER, "session_id": SESSION}
    answers = [
        await client.get("/v1/recommendations", params={**who, "explain": True}, headers=key),
        await client.get("/v1/recommendations", params={**who, "limit": CUSTOMER}, headers=key),
        await client.get("/v1/recommendations", params={**who, "variant": SESSION}, headers=key),
        await client.get("/v1/recommendations", params={CUSTOMER: SESSION}, headers=key),
        await client.post("/v1/rank", json={**who, "candidates": ["alps"]}, headers=key),
        await client.post("/v1/events", json={"events": [event()]}, headers=key),
        await client.post("/v1/events", json={"events": [event(type=CUSTOMER)]}, headers=key),
        await client.post("/v1/events", content=f"{{{CUSTOMER}", headers=key | JSON),
        await client.get(f"/v1/customers/{CUSTOMER}", headers=key),
        await client.get(f"/v1/customers/{CUSTOMER}", headers={"X-API-Key": WRONG}),
        await client.get("/metrics", params=who, headers=key),
        await client.get(f"/{CUSTOMER}/{SESSION}", headers={"Authorization": f"Bearer {KEY}"}),
    ]
    return [answer.status_code for answer in answers]


async def test_no_line_names_a_customer_a_session_or_a_key(
    client: httpx.AsyncClient, stores: Stores, written: StringIO
) -> None:
    statuses = await visit(client)
    # A wrong kind under the customer's key: the store refuses to read it.
    await stores.connection.execute("SET", _window_key(), "x", doing="breaking a window")
    statuses += await visit(client)

    erased = await client.delete(f"/v1/customers/{CUSTOMER}", headers={"X-API-Key": KEY})
    statuses.append(erased.status_code)
    lines = written.getvalue()
    assert set(statuses) == {200, 401, 403, 404, 422, 503}
    slow = [json.loads(line) for line in lines.splitlines() if '"slow request"' in line]
    assert len(slow) == len({line["route"] for line in slow}) > 1
    assert {line["request_id"] == "" for line in slow} == {False}
    assert {"route", "status", "total_ms", "stages_ms"} <= slow[0].keys()
    assert set(slow[0]["stages_ms"]) == {"read", "rank", "explain"}
    assert "an explanation failed" in lines
    assert "degraded answers" in lines
    for secret in (CUSTOMER, SESSION, KEY, KEY.split("_", 2)[2], WRONG):
        assert secret not in lines


def _window_key() -> str:
    return CustomerKeys.for_customer(CUSTOMER).window
