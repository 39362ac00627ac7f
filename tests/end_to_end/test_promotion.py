"""A bad bundle on its way to customers of a real service, whose leading worker is killed."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app.stores.connection import Connection
from app.stores.embedded import socket_path
from app.stores.keys import PROMOTER
from tests.bundles import recalibrated, reversed_order
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import START_TIMEOUT_S, serving

N_CUSTOMERS: Final = 420
SHOWN: Final = 4
AS_ONE: Final = 60
"""Customers whose answers show that both workers have switched."""
RULES: Final[dict[str, Any]] = {
    # What a reversed order shows is to be found by customers alone.
    "shadow": {"min_answers": 20, "max_slower": 9.0, "max_drift": 1e6, "min_overlap": 0.0},
    # Undecided at once: the canary decides.
    "interleaving": {"min_hours": 0.0, "max_days": 1e-6},
    "canary": {
        "shares_bp": [3_000],
        "min_units": 100,
        "min_hours": 0.0,
        "results": {"window_hours": 0.001, "planned_units": 400},
    },
}


def ask(client: httpx.Client, customer: str, *, limit: int = SHOWN) -> dict[str, Any]:
    params: dict[str, str | int] = {"customer_id": customer, "limit": limit}
    answer = client.get("/v1/recommendations", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def promotion(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/v1/promotions/1")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["promotion"]
    return found


def until(client: httpx.Client, stage: str) -> Iterator[dict[str, Any]]:
    """The promotion again and again, the last time at a stage with all that it wants."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        found = promotion(client)
        yield found
        if found["stage"] == stage and found["is_settled"]:
            return
        assert found["stage"] not in {"full", "stopped"} - {stage}, found
        time.sleep(0.1)
    msg = f"no {stage}: {client.get('/v1/promotions/1').json()['findings']}"
    raise TimeoutError(msg)


def buy(client: httpx.Client, liked: set[str]) -> set[str]:
    """Have all customers come, and most buy the first sale if they like it; return who answers."""
    answered: set[str] = set()
    for number in range(N_CUSTOMERS):
        body = ask(client, f"c{number}")
        # Each worker had loaded the candidate's bundle before it followed the canary's plan.
        assert body["degraded"] != "variant", number
        answered.add(body["bundle"])
        first = body["items"][0]["sale_id"]
        if first in liked and number % 5:
            event = {
                "event_id": f"e{number}",
                "customer_id": f"c{number}",
                "type": "purchase",
                "sale_id": first,
                "at": datetime.now(UTC).isoformat(),
                "exposure_id": body["recommendation_id"],
                "revenue": 100.0,
            }
            answer = client.post("/v1/events", json={"events": [event]})
            assert answer.json()["accepted"] == 1, answer.text
    return answered


def leader(state: Path) -> str:
    """The worker that decides, by its name."""
    url = f"unix://{socket_path(state.resolve() / 'valkey')}"

    async def read() -> object:
        connection = Connection.open(url)
        try:
            return await connection.execute("GET", PROMOTER, doing="looking")
        finally:
            await connection.close()

    name = asyncio.run(read())
    assert isinstance(name, bytes)
    return name.decode()


@pytest.mark.slow
def test_customers_who_buy_less_stop_a_bad_bundle_though_its_leader_is_killed(
    tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    root, state = tmp_path / "bundles", tmp_path / "state"
    serving_bundle = recalibrated(tiny_bundle[0], root, shift=0.0)
    bad = reversed_order(tiny_bundle[0], root, centre=-4.0)
    settings = {
        "VITRINE_BUNDLES": str(root),
        "VITRINE_BUNDLE": serving_bundle.name,
        "VITRINE_EXPORTS": str(tmp_path / "out"),
    }
    any_worker = httpx.Limits(max_keepalive_connections=0)
    with (
        serving(tmp_path, "--workers", "2", **settings) as service,
        httpx.Client(timeout=60.0, limits=any_worker) as client,
    ):
        service.wait_until("/health/ready", status=200)
        client.base_url = httpx.URL(service.url)
        order = [one["sale_id"] for one in ask(client, "visitor", limit=100)["items"]]
        begun = client.post("/v1/promotions", json={"bundle": bad.name, "rules": RULES})
        assert begun.status_code == 201, begun.text
        for _ in until(client, "canary"):
            ask(client, "visitor")
        answered = buy(client, set(order[: len(order) // 2]))
        killed = leader(state)
        os.kill(int(killed.rpartition("-")[2]), signal.SIGKILL)
        for _ in until(client, "stopped"):
            ask(client, "visitor")  # its time ends the windows of the others
            exported = run_here(
                *("app", "export-events", "--out", str(tmp_path / "out")),
                VITRINE_STATE_DIR=str(state),
            )
            assert exported.exit_code == 0, exported.output
        while (seen := {ask(client, f"c{n}")["bundle"] for n in range(AS_ONE)}) != {
            serving_bundle.name
        }:
            assert seen <= answered
        decisions = promotion(client)["decisions"]

    assert answered == {serving_bundle.name, bad.name}
    assert [one["stage"] for one in decisions] == [
        *("shadow", "estimate", "interleaving", "canary", "stopped")
    ]
    assert (decisions[3]["who"], decisions[4]["who"] == killed) == (killed, False)
    breached = [one for one in decisions[4]["findings"] if one["state"] == "breached"]
    assert [one["rule"] for one in breached] == ["conversion"]
