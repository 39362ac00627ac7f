"""After every failover the same connection finds the master again, by itself."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.crc import key_slot

from app.errors import StoreUnavailableError
from app.stores.client import UNCOVERED_ADVICE, uncovered
from app.stores.connection import Connection, Script, is_of_another_type
from app.stores.count import LOADED, CountStore
from app.stores.customer import CustomerStore
from app.stores.exposure import ExposureLog, PackedExposure
from app.stores.keys import N_PARTITIONS, partition, write_probe
from app.stores.server import Refusal, StoreServer
from models.catalogue.event_counts import grid_floor
from models.domain.event import Event
from tests.contract.servers import (
    Nodes,
    documented_sentinel_rights,
    free_port,
    join_cluster,
    nodes,
    redis_binary,
    tell,
)
from tests.contract.visit import event
from tests.end_to_end.faults import Proxy

pytestmark = pytest.mark.redis

BACK_WITHIN_S = 60.0  # machines that run tests are busy
PUT = Script.from_source("#!lua\nreturn redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture
def servers(tmp_path: Path) -> Generator[Nodes]:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with nodes(binary, tmp_path) as made:
        yield made


@pytest.fixture
def proxy() -> Generator[Proxy]:
    """An address that leads where a test turns it."""
    with Proxy(0).running() as proxy:
        yield proxy


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    connection = Connection.open(url, timeout_s=2.0)
    yield connection
    await connection.close()


async def put(connection: Connection, value: str) -> None:
    """Write by each way that the stores write."""
    await connection.execute("SET", "{k}1", value, doing="writing")
    await connection.execute_many([("SET", "{k}2", value)], doing="writing")
    await connection.run(PUT, ["{k}3"], value, doing="writing")
    await connection.run_many(PUT, [PUT.by_sha(["{k}4"], value)], doing="writing")


async def until_put(connection: Connection, value: str) -> int:
    """Write until it succeeds; return how often the store was unavailable before."""
    n_refused = 0
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            try:
                await put(connection, value)
            except StoreUnavailableError:
                n_refused += 1
                await asyncio.sleep(0.1)
            else:
                return n_refused


async def test_an_address_that_moves_to_another_master_is_dialled_anew(
    servers: Nodes, proxy: Proxy
) -> None:
    """As of a managed store: the old master lives on as a replica, and keeps its connections."""
    old, new = free_port(), free_port()
    servers.start(old)
    servers.start(new, replica_of=old)
    proxy.turn_to(old)
    async with connected(f"redis://127.0.0.1:{proxy.port}/0") as connection:
        await asyncio.gather(*(put(connection, "before") for _ in range(8)))
        tell(new, "REPLICAOF NO ONE")
        tell(old, f"REPLICAOF 127.0.0.1 {new}")
        proxy.turn_to(new)

        n_refused = await until_put(connection, "after")

    assert n_refused > 0
    assert tell(new, "GET {k}4") == b"$5\r\nafter\r\n"


async def test_an_address_that_moves_away_from_a_server_that_hangs_is_dialled_anew(
    servers: Nodes, proxy: Proxy
) -> None:
    """Its connections are never closed, and never answered."""
    old, new = free_port(), free_port()
    servers.start(old)
    servers.start(new)
    proxy.turn_to(old)
    async with connected(f"redis://127.0.0.1:{proxy.port}/0") as connection:
        await asyncio.gather(*(put(connection, "before") for _ in range(8)))
        tell(old, "CLIENT PAUSE 600000 ALL")
        proxy.turn_to(new)

        n_refused = await until_put(connection, "after")

    assert 0 < n_refused <= 3


async def test_the_master_that_sentinels_name_is_followed(servers: Nodes) -> None:
    old, new, sentinel = free_port(), free_port(), free_port()
    servers.start(old, "--requirepass", "secret", "--masterauth", "secret")
    servers.start(new, "--requirepass", "secret", "--masterauth", "secret", replica_of=old)
    folder = servers.folder / str(sentinel)
    folder.mkdir()
    (folder / "sentinel.conf").write_text(
        f"sentinel monitor shop 127.0.0.1 {old} 1\n"
        "sentinel auth-pass shop secret\n"
        "sentinel down-after-milliseconds shop 500\n"
        "sentinel failover-timeout shop 5000\n"
        f"user vitrine on >seen resetchannels -@all {documented_sentinel_rights()}\n"
    )
    servers.start(sentinel, str(folder / "sentinel.conf"), "--sentinel")
    away = free_port()
    url = f"redis+sentinel://:secret@127.0.0.1:{away},127.0.0.1:{sentinel}/shop/0"
    url += "?sentinel_username=vitrine&sentinel_password=seen"
    async with connected(url) as connection:
        await until_put(connection, "before")
        servers.kill(old)

        n_refused = await until_put(connection, "after")

    assert n_refused > 0


async def test_a_cluster_that_was_away_as_a_whole_is_found_again(servers: Nodes) -> None:
    ports = [free_port() for _ in range(3)]
    for port in ports:
        servers.start(port, "--cluster-enabled", "yes", "--appendonly", "yes")
    join_cluster(ports)
    async with connected(f"redis+cluster://127.0.0.1:{ports[0]}") as connection:
        await put(connection, "before")
        servers.kill_all()
        for _ in range(5):
            with pytest.raises(StoreUnavailableError, match="unavailable while writing"):
                await put(connection, "away")
            with pytest.raises(StoreUnavailableError, match="unavailable while asking"):
                await connection.execute("TIME", doing="asking")
        for port in ports:
            servers.start(port, "--cluster-enabled", "yes", "--appendonly", "yes")

        await until_put(connection, "after")


async def test_a_cluster_is_found_by_any_of_the_nodes_of_its_url(servers: Nodes) -> None:
    ports = [free_port() for _ in range(3)]
    for port in ports:
        servers.start(port, "--cluster-enabled", "yes")
    join_cluster(ports)
    away = free_port()
    async with connected(f"redis+cluster://127.0.0.1:{away},127.0.0.1:{ports[1]}/0") as connection:
        await put(connection, "here")


async def test_a_slot_that_no_node_serves_takes_no_other_away(servers: Nodes) -> None:
    """As where a node without a replica is gone, and the servers answer for the others."""
    ports = [free_port() for _ in range(3)]
    for port in ports:
        settings = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
        servers.start(port, *settings)
    join_cluster(ports)
    lost = write_probe(0)
    slot = key_slot(lost.encode())
    async with connected(f"redis+cluster://127.0.0.1:{ports[0]}") as connection:
        await put(connection, "before")
        for port in ports:
            tell(port, f"CLUSTER DELSLOTS {slot}")

        with pytest.raises(StoreUnavailableError, match=f"serves slot {slot}; bring the node"):
            await until_refused(connection, lost)
        await put(connection, "meanwhile")
        now_us = await StoreServer(connection).time_us()
        there, gone = (
            next(f"c{n}" for n in range(1_000) if (partition(f"c{n}") == 0) is is_gone)
            for is_gone in (False, True)
        )
        mixed = [event(f"e-{one}", at_us=now_us, customer_id=one) for one in (gone, there)]
        customers = CustomerStore(connection)
        outcomes = await customers.append(mixed)
        with pytest.raises(StoreUnavailableError, match=f"appending events: .* slot {slot};"):
            await customers.append(mixed[:1])
        counts = await CountStore(connection).since(0, until_us=grid_floor(now_us))
        refused = await StoreServer(connection).refused_write()
        records = [PackedExposure(one, b"record") for one in (gone, there)]
        errors = await ExposureLog(connection).append(records)

        assert [one.status for one in outcomes] == ["unavailable", "accepted"]
        assert len((await customers.read(there)).window) == 1
        assert list(counts.unread) == [0]
        assert counts.unread[0].endswith(UNCOVERED_ADVICE)
        assert [error is not None for error in errors] == [True, False]
        tell(ports[0], f"CLUSTER ADDSLOTS {slot}")
        await until_taken(customers, mixed)

    assert refused == (Refusal.SLOT, f"no node of the cluster serves slot {slot}")


async def test_a_node_that_is_gone_takes_no_other_away(servers: Nodes) -> None:
    ports = [free_port() for _ in range(3)]
    for port in ports:
        settings = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
        servers.start(port, *settings)
    join_cluster(ports)
    names = [f"c{n}" for n in range(60)]
    async with connected(f"redis+cluster://127.0.0.1:{ports[0]}") as connection:
        customers = CustomerStore(connection)
        now_us = await StoreServer(connection).time_us()
        before = [event(f"e-{one}", at_us=now_us, customer_id=one) for one in names]
        await customers.append(before)
        servers.kill(ports[2])

        outcomes = await customers.append(before)
        counts = await CountStore(connection).since(0, until_us=grid_floor(now_us))

        statuses = {one: outcome.status for one, outcome in zip(names, outcomes, strict=True)}
        assert set(statuses.values()) == {"unavailable", "duplicate"}
        gone = {partition(one) for one, status in statuses.items() if status == "unavailable"}
        assert gone <= counts.unread.keys()
        assert len(counts.unread) < N_PARTITIONS / 2
        refused = await StoreServer(connection).refused_write()
        assert refused is not None
        assert (refused[0], refused[1].partition(":")[0]) == (
            Refusal.NODE,
            f"{len(counts.unread.keys() - {LOADED})} of {N_PARTITIONS} partitions",
        )


async def test_a_command_that_is_refused_after_lost_connections_takes_no_other_away(
    servers: Nodes,
) -> None:
    """As where a node fails over to one that does not know the first script."""
    ports = [free_port() for _ in range(3)]
    for port in ports:
        servers.start(port, "--cluster-enabled", "yes")
    join_cluster(ports)
    async with connected(f"redis+cluster://127.0.0.1:{ports[0]}") as connection:
        await put(connection, "before")
        await connection.execute("LPUSH", "{k}list", "a", doing="writing")
        for port in ports:
            tell(port, "CLIENT KILL TYPE normal")

        reads = [("GET", "{k}list"), ("GET", "{k}1"), ("GET", "{k}2")]
        refused, *others = await connection.execute_each(reads, doing="reading")

    assert is_of_another_type(refused)
    assert others == [b"before", b"before"]


async def until_taken(customers: CustomerStore, events: Sequence[Event]) -> None:
    """Send events until none is unavailable."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            outcomes = await customers.append(events)
            if "unavailable" not in {one.status for one in outcomes}:
                return
            await asyncio.sleep(0.1)


async def until_refused(connection: Connection, key: str) -> None:
    """Read a key until the client has learnt that its slot is gone."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            try:
                await connection.execute("GET", key, doing="reading")
            except StoreUnavailableError as exc:
                if uncovered(exc.__cause__):
                    raise
            await asyncio.sleep(0.1)


async def test_a_url_of_a_cluster_that_leads_to_a_single_server_is_an_outage(
    servers: Nodes,
) -> None:
    port = free_port()
    servers.start(port)
    async with connected(f"redis+cluster://127.0.0.1:{port}") as connection:
        with pytest.raises(StoreUnavailableError, match="Cluster mode is not enabled"):
            await connection.execute("PING", doing="asking")
