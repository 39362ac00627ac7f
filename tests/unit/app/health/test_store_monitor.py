from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from app.health.store_monitor import NONE, StoreMonitor
from app.observability import Metrics
from app.stores.server import Lost, Refusal, StoreMemory, StoreServer


@dataclass
class Server(StoreServer):
    """A store that says of itself what a test wants."""

    policy: str = "noeviction"
    gone: Lost = NONE
    refused: tuple[Refusal, str] | None = None

    async def ping(self) -> None: ...

    async def time_us(self) -> int:
        return 0

    async def memory(self) -> StoreMemory:
        return StoreMemory(self.policy, used_bytes=7, limit_bytes=20)

    async def lost(self) -> Lost:
        return self.gone

    async def refused_write(self) -> tuple[Refusal, str] | None:
        return self.refused

    async def close(self) -> None: ...


async def test_a_store_that_evicts_is_named_once_with_what_to_do() -> None:
    monitor = StoreMonitor(Server("allkeys-lru"), Metrics(), lambda: 0)

    with capture_logs() as lines:
        await monitor.check()
        await monitor.check()

    [line] = lines
    assert "set maxmemory-policy noeviction" in line["event"]
    assert line["policy"] == "allkeys-lru"


async def test_what_full_streams_lost_shows_and_is_named_whenever_it_grows() -> None:
    server, metrics = Server(), Metrics()
    monitor = StoreMonitor(server, metrics, lambda: 0)

    with capture_logs() as lines:
        await monitor.check()
        server.gone = Lost(events=7, exposures=0, counts=0)
        await monitor.check()
        await monitor.check()
        server.gone = Lost(events=7, exposures=2, counts=0)
        await monitor.check()

    assert [(line["events"], line["exposures"]) for line in lines] == [(7, 0), (7, 2)]
    assert 'lost_entries{stream="exposures"} 2.0' in metrics.exposition(None).decode()


async def test_events_that_count_for_no_sale_show_and_are_named_whenever_there_are_more() -> None:
    server, metrics = Server(), Metrics()
    monitor = StoreMonitor(server, metrics, lambda: 0)

    with capture_logs() as lines:
        server.gone = Lost(events=0, exposures=0, counts=5)
        await monitor.check()
        await monitor.check()

    [line] = lines
    assert "names too many sales" in line["event"]
    assert line["counts"] == 5
    assert 'lost_entries{stream="counts"} 5.0' in metrics.exposition(None).decode()


async def test_a_store_that_refuses_writes_is_named_once_and_counted_each_time() -> None:
    server, metrics = Server(), Metrics()
    monitor = StoreMonitor(server, metrics, lambda: 0)

    with capture_logs() as lines:
        server.refused = Refusal.FULL, "used memory > 'maxmemory'"
        await monitor.check()
        await monitor.check()
        refused = monitor.refused
        server.refused = None
        await monitor.check()

    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert "raise maxmemory" in lines[0]["event"]
    assert refused is not None
    assert (refused[0], refused[1][:15]) == ("used memory > 'maxmemory'", "raise maxmemory")
    assert monitor.refused is None
    assert 'write_refusals_total{reason="full"} 2.0' in metrics.exposition(None).decode()


async def test_a_store_in_order_is_no_news() -> None:
    with capture_logs() as lines:
        await StoreMonitor(Server(), Metrics(), lambda: 0).check()

    assert lines == []


async def test_a_reply_that_is_taken_late_says_nothing_of_the_clock() -> None:
    metrics, machine_us = Metrics(), iter([0, 3_660_000, 0, 100_000])
    monitor = StoreMonitor(Server(), metrics, lambda: next(machine_us))

    with capture_logs() as lines:
        await monitor.check()
        late = metrics.exposition(None).decode()
        await monitor.check()

    assert lines == []
    assert "store_clock_skew_seconds 0.0" in late
    assert "store_clock_skew_seconds -0.05" in metrics.exposition(None).decode()


async def test_a_store_whose_clock_is_off_is_named_once_and_measured() -> None:
    metrics = Metrics()
    monitor = StoreMonitor(Server(), metrics, lambda: 3_600_000_000)

    with capture_logs() as lines:
        await monitor.check()
        await monitor.check()

    assert [line["ahead_s"] for line in lines] == [-3_600.0]
    assert "store_clock_skew_seconds -3600.0" in metrics.exposition(None).decode()


async def test_memory_and_round_trips_of_the_store_show() -> None:
    metrics, clock = Metrics(), iter([0, 3_000, 0, 3_000])
    monitor = StoreMonitor(Server(), metrics, lambda: next(clock))

    await monitor.check()

    shown = metrics.exposition(None).decode()
    assert 'vitrine_store_memory_bytes{kind="used"} 7.0' in shown
    assert 'vitrine_store_memory_bytes{kind="limit"} 20.0' in shown
    assert "vitrine_store_round_trip_seconds 0.003" in shown


@pytest.mark.parametrize(
    ("infos", "memory"),
    [
        ([{"used_memory": 5, "maxmemory": 9}], StoreMemory("noeviction", 5, 9)),
        (
            [{"used_memory": 5, "maxmemory": 9}, {"used_memory": 2, "maxmemory": 8}],
            StoreMemory("noeviction", 7, 17),
        ),
        (
            [{"used_memory": 5, "maxmemory": 9}, {"maxmemory_policy": "allkeys-lru"}],
            StoreMemory("allkeys-lru", 5, 0),
        ),
    ],
    ids=["one", "masters", "one without a limit"],
)
def test_memory_of_a_cluster_is_that_of_its_masters(
    infos: list[dict[str, object]], memory: StoreMemory
) -> None:
    assert StoreMemory.from_infos(infos) == memory
