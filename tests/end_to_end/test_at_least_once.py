"""Events that are sent again and again count once: in windows, counters, files and features."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import httpx
import numpy as np
import polars as pl
import pytest

from app.stores.embedded import embedded_server
from app.stores.keys import N_PARTITIONS, counts_prefix
from app.stores.store import Stores
from models.domain.event import IMPRESSION, KIND, REFUND, TOUCHES, Event, EventType, key
from tests.contract.visit import window_of
from tests.end_to_end.service import run, serving
from tests.proofs import Proof

N_REDELIVERED: Final = 100_000
N_DELIVERIES: Final = 4
"""Times that each event is sent again, on average."""

EVENTS_EACH: Final = 100
NOT_THERE: Final = tuple(f"later-{number}" for number in range(10))
"""Sales that the catalogue does not know."""

KEY_BYTES: Final = 8
N_LANES: Final = 8
MAX_BATCH: Final = 1_000
TIMEOUT_S: Final = 120.0


@dataclass(frozen=True)
class Delivered:
    """Number of events by result of the service.

    Attributes:
        statuses: Number of results by status.
        n_answers: Recommendations that were asked for in between.
    """

    statuses: Counter[str]
    n_answers: int


def happened(n: int, sales: Sequence[str], rng: np.random.Generator) -> list[dict[str, object]]:
    """Events of customers who all number theirs from 1, some of sales that do not exist yet.

    None does the same to a sale twice: however the service weighs that, all of these count.
    """
    deeds = [(sale_id, kind.value) for sale_id in (*sales, *NOT_THERE) for kind in EventType]
    each = min(EVENTS_EACH, len(deeds), n)
    now = datetime.now(UTC)
    return [
        {
            **{"event_id": str(number), "customer_id": f"k{customer}"},
            **{"sale_id": deeds[deed][0], "type": deeds[deed][1]},
            "at": (now - timedelta(seconds=int(rng.integers(172_000)))).isoformat(),
        }
        for customer in range(n // each)
        for number, deed in enumerate(rng.choice(len(deeds), each, replace=False), start=1)
    ]


def batches(
    events: Sequence[dict[str, object]], rng: np.random.Generator
) -> list[list[dict[str, object]]]:
    """Each event at least once and often again, in an order and in batches without a pattern."""
    again = rng.integers(len(events), size=len(events) * (N_DELIVERIES - 1))
    order = rng.permutation(np.concatenate([np.arange(len(events)), again]))
    found: list[list[dict[str, object]]] = []
    while len(order):
        size = int(rng.integers(1, MAX_BATCH + 1))
        found.append([events[int(i)] for i in order[:size]])
        order = order[size:]
    return found


async def deliver(url: str, parts: Sequence[list[dict[str, object]]]) -> Delivered:
    """Post batches by several callers at once; each asks for an answer after each batch."""
    statuses: Counter[str] = Counter()
    remaining = iter(parts)

    async def lane() -> int:
        n_answers = 0
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
            for part in remaining:
                posted = await client.post("/v1/events", json={"events": part})
                assert posted.status_code == 200, posted.text
                statuses.update(result["status"] for result in posted.json()["results"])
                asked = {"customer_id": str(part[0]["customer_id"]), "market": "fr"}
                answer = await client.get("/v1/recommendations", params=asked)
                n_answers += answer.json()["degraded"] is None
        return n_answers

    return Delivered(statuses, sum(await asyncio.gather(*(lane() for _ in range(N_LANES)))))


async def windows(store_url: str, customers: Sequence[str]) -> list[bytes]:
    """The packed windows of customers."""
    stores = Stores.open(store_url, timeout_s=TIMEOUT_S)
    found = [(await stores.customers.read(customer)).window.pack() for customer in customers]
    await stores.server.close()
    return found


async def counted(store_url: str) -> Counter[bytes]:
    """The live counters of all partitions and hours, by sale key and type code.

    Without refunds: which purchase one is matched with depends on what came before it.
    """
    stores = Stores.open(store_url, timeout_s=TIMEOUT_S)
    total: Counter[bytes] = Counter()
    for p in range(N_PARTITIONS):
        reply = await stores.connection.execute("KEYS", f"{counts_prefix(p)}h*", doing="counting")
        for hour in cast("list[bytes]", reply):
            fields = await stores.connection.execute("HGETALL", hour, doing="counting")
            numbers = cast("dict[bytes, bytes]", fields)
            total.update({f: int(n) for f, n in numbers.items() if f[KEY_BYTES] != REFUND})
    await stores.server.close()
    return total


def in_field(event: Event) -> bytes:
    assert event.sale_id is not None
    return key(event.sale_id).to_bytes(KEY_BYTES, "big") + bytes([KIND[event.type], 0, 0])


@pytest.mark.prove
@pytest.mark.slow
async def test_redelivered_events_are_the_same_as_events_delivered_once(
    tmp_path: Path, tiny_bundle: tuple[Path, Path], rng: np.random.Generator, proof: Proof
) -> None:
    bundle, world = tiny_bundle
    data = shutil.copytree(world, tmp_path / "data")
    sales = pl.read_parquet(world / "sales.parquet")["sale_id"].to_list()
    events = happened(proof.scale(N_REDELIVERED) // N_DELIVERIES, sales, rng)
    once = [Event.model_validate_json(json.dumps(event)) for event in events]
    customers = sorted({event.customer_id for event in once})
    later = [{**event, "at": datetime.now(UTC).isoformat()} for event in events]

    with embedded_server(tmp_path / "store") as store_url:
        loaded = run("app", "load", "--data", str(world), VITRINE_REDIS_URL=store_url)
        assert loaded.returncode == 0, loaded.stderr
        options = ["--bundle", str(bundle), "--workers", "2", "--redis-url", store_url]
        with serving(tmp_path, *options) as service:
            service.wait_until("/health/ready", status=200)
            first = await deliver(service.url, batches(events, rng))
            # With a new time they are the same events still, and the first time stands.
            second = await deliver(
                service.url, [later[i : i + 700] for i in range(0, len(later), 700)]
            )
            assert service.stop() == 0
        seen, counts = await windows(store_url, customers), await counted(store_url)
        exported = run(
            *("app", "export-events", "--out", str(data), "--json"), VITRINE_REDIS_URL=store_url
        )
    summary = json.loads(exported.stdout)
    parity = run(
        *("training", "parity", "--data", str(data), "--bundle", str(bundle), "--json"),
        *("--snapshots", str(tmp_path / "state" / "snapshots")),
    )
    features = json.loads(parity.stdout)

    assert first.statuses == {
        "accepted": len(events),
        "duplicate": (N_DELIVERIES - 1) * len(events),
    }
    assert second.statuses == {"duplicate": len(events)}
    expected = [window_of([e for e in once if e.customer_id == one]).pack() for one in customers]
    assert seen == expected
    counting = [event for event in once if KIND[event.type] in TOUCHES | {IMPRESSION}]
    assert counts == Counter(map(in_field, counting))
    assert (summary["events"], summary["repeated_events"], summary["conflicting_events"]) == (
        *(len(events), 0, 0),
    )
    assert (features["differing"], features["other_counts"]) == ([], [])
    assert features["equal"] == first.n_answers + second.n_answers > 0
    proof.record(
        "at_least_once",
        {
            "events": len(events),
            "redelivered": first.statuses["duplicate"] + second.statuses["duplicate"],
            "customers": len(customers),
            "workers": 2,
            "windows_equal": len(seen),
            "counters_equal": len(counts),
            "exported": summary["events"],
            "answers_equal": features["equal"],
        },
    )
