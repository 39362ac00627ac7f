"""Once an event is acknowledged, the customer's next answer is made from it."""

import asyncio
import base64
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import orjson
import pytest

from app.stores.connection import Connection
from app.stores.exposure import unpacked
from app.stores.keys import exposures_stream
from app.stores.stream import Streams
from models.domain.customer import Window
from models.domain.event import key
from tests.contract.servers import redis_binary, redis_server
from tests.end_to_end.made import made_workers
from tests.end_to_end.service import serving
from tests.proofs import Proof

N_PAIRS = 100_000
N_MERGES = 10_000
N_LANES = 8
VISITORS_EACH = 20
ROUND = 5_000
WITHIN_S = 60.0


@dataclass(frozen=True)
class Pairs:
    """Events, each acknowledged and then followed by an answer to the same customer.

    Attributes:
        n: How many.
        stale: How many answers were made from a window without the event.
    """

    n: int
    stale: int


class Lane:
    """Two connections, which any two workers may serve: one posts, the other asks."""

    def __init__(self, url: str, name: str, *, merges: bool = False) -> None:
        """Name a lane; one that merges posts as a visitor, who becomes the customer then."""
        self._parts = urlsplit(url)
        self._name = name
        self._merges = merges

    async def run(self, numbers: range) -> dict[str, int]:
        """Post and ask in turn; return the event's key by recommendation id."""
        post, ask = await self._connect(), await self._connect()
        expected: dict[str, int] = {}
        for number in numbers:
            customer_id, event_id = f"{self._name}-{number % 250}", f"{self._name}-{number}"
            guest_id = f"v-{event_id}"
            event = {
                "event_id": event_id,
                "customer_id": guest_id if self._merges else customer_id,
                "type": "click",
                "sale_id": f"s{number % 20}",
                "at": datetime.now(UTC).isoformat(),
            }
            posted = await self._ask(post, "POST /v1/events", orjson.dumps({"events": [event]}))
            assert posted["accepted"] == 1
            if self._merges:
                # Each customer is asked under their own id, and under that of the last visitor.
                customer_id = f"{self._name}-{number // N_LANES // VISITORS_EACH}"
                body = orjson.dumps({"guest_id": guest_id})
                merged = await self._ask(post, f"POST /v1/customers/{customer_id}/merge", body)
                assert merged["customer_id"] == customer_id
                customer_id = guest_id if number % 2 else customer_id
            answer = await self._ask(
                ask, f"GET /v1/recommendations?limit=1&customer_id={customer_id}"
            )
            expected[cast("str", answer["recommendation_id"])] = key(event_id)
        for _, writer in (post, ask):
            writer.close()
            await writer.wait_closed()
        return expected

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._parts.hostname, self._parts.port)

    async def _ask(
        self,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        line: str,
        body: bytes = b"",
    ) -> dict[str, object]:
        reader, writer = connection
        head = f"{line} HTTP/1.1\r\nHost: {self._parts.netloc}\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n" if body else ""
        writer.write(head.encode() + b"\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return cast("dict[str, object]", orjson.loads(await reader.readexactly(length)))


async def windows(streams: Streams, wanted: set[str]) -> dict[str, Window]:
    """The windows that answers were made from, by recommendation id; they leave the store."""
    found: dict[str, Window] = {}
    cursors: dict[int, str] = {}
    async with asyncio.timeout(WITHIN_S):
        while not wanted <= found.keys():
            batch = await streams.read(cursors, n_each=100)
            for fields in batch.fields:
                record = orjson.loads(unpacked(fields[b"x"]))
                packed = base64.b64decode(record["window"])
                found[record["recommendation_id"]] = Window.unpack(packed)
            cursors = dict(batch.cursors)
            await streams.forget(cursors)
    return found


async def pairs(url: str, store_url: str, n_pairs: int, *, merges: bool = False) -> Pairs:
    """Make pairs, and look up in the exposure log what each answer was made from."""
    connection = Connection.open(store_url, timeout_s=30.0)
    streams = Streams(connection, exposures_stream)
    stale = 0
    for first in range(0, n_pairs, ROUND):
        numbers = range(first, min(first + ROUND, n_pairs))
        lanes = [
            Lane(url, f"l{lane}", merges=merges).run(numbers[lane::N_LANES])
            for lane in range(N_LANES)
        ]
        expected = {k: v for part in await asyncio.gather(*lanes) for k, v in part.items()}
        assert len(expected) == len(numbers)
        seen = await windows(streams, set(expected))
        stale += sum(
            not np.any(seen[answer_id].members[:, 0] == np.uint64(event_key))
            for answer_id, event_key in expected.items()
        )
    await connection.close()
    return Pairs(n_pairs, stale)


@pytest.fixture
def redis_url(tmp_path: Path) -> Generator[str]:
    """A Redis of the system."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(binary, folder) as url:
        yield url


@pytest.mark.prove
@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_pairs", "merges"),
    [("read_your_writes", N_PAIRS, False), ("merge_then_answer", N_MERGES, True)],
)
async def test_no_answer_is_older_than_the_last_acknowledged_event_or_merge(
    tmp_path: Path,
    redis_url: str,
    tiny_bundle: tuple[Path, Path],
    proof: Proof,
    *,
    name: str,
    n_pairs: int,
    merges: bool,
) -> None:
    bundle, _ = tiny_bundle
    options = ["--bundle", str(bundle), "--workers", "2", "--redis-url", redis_url]
    with serving(tmp_path, *options) as service:
        service.wait_until("/health/ready", status=200)
        made = await pairs(service.url, redis_url, proof.scale(n_pairs), merges=merges)

    assert made.stale == 0
    proof.record(name, {"pairs": made.n, "stale": made.stale, "workers": 2})


@pytest.mark.redis
@pytest.mark.slow
async def test_a_store_that_acknowledges_before_it_writes_is_caught(
    tmp_path: Path, redis_url: str
) -> None:
    """The fault is planted in both workers: the measure above must see it."""
    with made_workers(tmp_path, redis_url, n_workers=2, late=True) as url:
        made = await pairs(url, redis_url, 200)

    assert made.stale > 0
