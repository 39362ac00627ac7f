"""The connection: every failure becomes one error, in time."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.errors import StoreUnavailableError
from app.stores.connection import Connection
from app.stores.embedded import embedded_server
from app.stores.store import Stores
from tests.contract.servers import hanging, process_id, redis_binary, tls_server
from tests.contract.visit import event

TIMEOUT_S = 0.1
IN_TIME_S = 2.0  # far above the timeout: a loaded machine must not fail the test


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncGenerator[Stores]:
    """A store of its own, with impatient connections."""
    with embedded_server(tmp_path) as url:
        stores = Stores.open(url, timeout_s=TIMEOUT_S, max_connections=2)
        yield stores
        await stores.server.close()


async def test_a_store_that_is_down_is_unavailable(tmp_path: Path) -> None:
    connection = Connection.open(f"unix://{tmp_path}/nowhere.sock", timeout_s=TIMEOUT_S)

    async with asyncio.timeout(IN_TIME_S):
        with pytest.raises(StoreUnavailableError, match=r"while looking: .*nowhere\.sock"):
            await connection.execute("PING", doing="looking")


async def test_a_master_that_no_sentinel_knows_is_named_with_what_the_url_has_to_say() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connection = Connection.open(f"redis+sentinel://127.0.0.1:{port}/nope", timeout_s=TIMEOUT_S)

    with pytest.raises(StoreUnavailableError, match=r"'nope'.*; NAME of redis\+sentinel://"):
        await connection.execute("PING", doing="looking")


@pytest.mark.parametrize("login", ["", "?password=wrong", "?username=other&password=secret"])
async def test_a_login_that_the_store_refuses_is_named_with_what_to_do(
    tmp_path: Path, login: str
) -> None:
    with embedded_server(tmp_path) as url:
        known, refused = Connection.open(url), Connection.open(url + login)
        await known.execute("CONFIG", "SET", "requirepass", "secret", doing="locking")
        try:
            with pytest.raises(StoreUnavailableError, match="; VITRINE_REDIS_URL has to hold a us"):
                await refused.execute("PING", doing="looking")
        finally:
            await known.close()
            await refused.close()


@pytest.mark.redis
@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("localhost:{port}/0", "ssl_ca_certs=/path/ca.pem"),
        ("127.0.0.2:{port}/0?ssl_ca_certs={file}", "the host that it is for"),
        ("localhost:{port}/0?ssl_ca_certs={file}.no", "names a file that is not there: a cert"),
    ],
)
async def test_a_certificate_that_is_not_trusted_is_named_with_what_the_url_has_to_say(
    tmp_path: Path, place: str, advice: str
) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with tls_server(binary, tmp_path) as url:
        port, file = url.split(":")[2].split("/")[0], url.partition("=")[2]
        connection = Connection.open(f"rediss://{place.format(port=port, file=file)}")
        with pytest.raises(StoreUnavailableError) as caught:
            await connection.execute("PING", doing="looking")
        await connection.close()

    assert advice in str(caught.value)


async def test_a_store_that_hangs_is_unavailable_and_then_available(stores: Stores) -> None:
    now_us = await stores.server.time_us()
    async with hanging(stores.connection), asyncio.timeout(IN_TIME_S):
        with pytest.raises(StoreUnavailableError, match="reading a customer"):
            await stores.customers.read("c1")
        with pytest.raises(StoreUnavailableError, match="appending events"):
            await stores.customers.append([event("e1", at_us=now_us)])

    assert (await stores.customers.read("c1")).now_us > now_us


async def test_a_pool_without_a_free_connection_is_unavailable(stores: Stores) -> None:
    async with hanging(stores.connection), asyncio.timeout(IN_TIME_S):
        reads = [stores.customers.read(f"c{i}") for i in range(8)]
        outcomes = await asyncio.gather(*reads, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 8


async def test_a_restarted_store_is_used_without_an_error(tmp_path: Path) -> None:
    """Its scripts are gone and the connections broken: neither is the caller's business."""
    with embedded_server(tmp_path) as url:
        stores = Stores.open(url)
        now_us = await stores.server.time_us()
        await stores.customers.append([event("e1", at_us=now_us)])
    with embedded_server(tmp_path):
        state = await stores.customers.read("c1")
        outcomes = await stores.customers.append([event("e2", at_us=now_us)])
        await stores.server.close()

    assert len(state.window) == 1
    assert [outcome.status for outcome in outcomes] == ["accepted"]


@pytest.mark.parametrize("hung", [False, True])
async def test_reads_that_are_cancelled_half_way_leave_the_pool_whole(
    tmp_path: Path, *, hung: bool
) -> None:
    """A connection given back with an unread reply would answer the next with another's."""
    n_connections = 4
    with embedded_server(tmp_path) as url:
        connection = Connection.open(url, timeout_s=2.0, max_connections=n_connections)
        server = await process_id(connection)
        for turn in range(5 if hung else 20):
            if hung:
                os.kill(server, signal.SIGSTOP)
            reads = [
                asyncio.create_task(connection.execute("ECHO", f"old {i}", doing="reading"))
                for i in range(2 * n_connections)
            ]
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
            os.kill(server, signal.SIGCONT)

            asked = [f"new {turn} {i}" for i in range(2 * n_connections)]
            echoes = await asyncio.gather(
                *(connection.execute("ECHO", one, doing="reading") for one in asked)
            )
            assert echoes == [one.encode() for one in asked]
        await connection.close()
