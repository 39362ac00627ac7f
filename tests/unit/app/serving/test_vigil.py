from dataclasses import dataclass

from structlog.testing import capture_logs

from app.observability import Metrics
from app.serving.server_port import Lost
from app.serving.vigil import NONE, Vigil


@dataclass
class Server:
    """A store that says of itself what a test wants."""

    policy: str = "noeviction"
    gone: Lost = NONE

    async def ping(self) -> None: ...

    async def time_us(self) -> int:
        return 0

    async def eviction_policy(self) -> str:
        return self.policy

    async def lost(self) -> Lost:
        return self.gone

    async def close(self) -> None: ...


async def test_a_store_that_evicts_is_named_once_with_what_to_do() -> None:
    vigil = Vigil(Server("allkeys-lru"), Metrics.create())

    with capture_logs() as lines:
        await vigil.look()
        await vigil.look()

    [line] = lines
    assert "set maxmemory-policy noeviction" in line["event"]
    assert line["policy"] == "allkeys-lru"


async def test_what_full_streams_lost_shows_and_is_named_whenever_it_grows() -> None:
    server, metrics = Server(), Metrics.create()
    vigil = Vigil(server, metrics)

    with capture_logs() as lines:
        await vigil.look()
        server.gone = Lost(events=7, exposures=0)
        await vigil.look()
        await vigil.look()
        server.gone = Lost(events=7, exposures=2)
        await vigil.look()

    assert [(line["events"], line["exposures"]) for line in lines] == [(7, 0), (7, 2)]
    assert 'lost_entries{stream="exposures"} 2.0' in metrics.exposition(None).decode()


async def test_a_store_in_order_is_no_news() -> None:
    with capture_logs() as lines:
        await Vigil(Server(), Metrics.create()).look()

    assert lines == []
