"""The channel: replies of many commands on one connection, each to who asked."""

# pyright: reportUnknownMemberType=false
# redis-py annotates its clients' parts as unknown.

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.stores.channel import Channel
from app.stores.client import close, dialler
from app.stores.connection import Connection, Script
from app.stores.embedded import embedded_server
from tests.contract.servers import hanging, redis_binary, tls_server

TIMEOUT_S = 0.2
IN_TIME_S = 10.0

ECHO = Script.from_source("#!lua flags=no-writes\nreturn {KEYS[1], redis.call('PING')}")


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Channel]:
    client = dialler(url, timeout_s=IN_TIME_S, max_connections=2)(None)
    assert isinstance(client, Redis)
    channel = await Channel.open(client, timeout_s=TIMEOUT_S)
    try:
        yield channel
    finally:
        await close(client)


async def test_each_of_many_commands_at_once_has_its_own_reply(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        async with opened(url) as channel, asyncio.timeout(IN_TIME_S):
            replies = await asyncio.gather(*(channel.ask(("ECHO", f"{i}")) for i in range(1_000)))

    assert replies == [f"{i}".encode() for i in range(1_000)]


async def test_who_gives_up_leaves_the_others_their_replies(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        async with opened(url) as channel, asyncio.timeout(IN_TIME_S):
            asked = [channel.ask(("ECHO", f"{i}")) for i in range(4)]
            asked[0].cancel()
            asked[2].cancel()

            assert await asked[1] == b"1"
            assert await asked[3] == b"3"


async def test_a_refusal_is_a_reply(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        async with opened(url) as channel, asyncio.timeout(IN_TIME_S):
            refused, taken = channel.ask(("NOSUCH",)), channel.ask(("PING",))

            assert "unknown command" in str(await refused)
            assert await taken == b"PONG"


async def test_a_channel_whose_server_ends_fails_what_is_under_way(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        async with opened(url) as channel, asyncio.timeout(IN_TIME_S):
            waiting = channel.ask(("BLPOP", "nothing", "0"))
            _ = channel.ask(("PING",))
            await asyncio.sleep(0)
            async with Redis.from_url(url) as other:
                _ = await other.client_kill_filter(_type="normal")
            with pytest.raises(RedisConnectionError):
                await waiting
            with pytest.raises(RedisConnectionError, match="has ended"):
                await channel.ask(("PING",))

            assert not channel.is_open


async def test_a_channel_that_hangs_ends_and_the_next_read_has_a_new_one(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        connection = Connection.open(url, timeout_s=TIMEOUT_S)
        other = Connection.open(url)
        try:
            async with asyncio.timeout(IN_TIME_S):
                while await connection.ask(ECHO, ["k"], doing="reading") != [b"k", b"PONG"]:
                    pass
                async with hanging(other):
                    with pytest.raises(TimeoutError):
                        await connection.ask(ECHO, ["k"], doing="reading", within_s=0.01)
                    await asyncio.sleep(2 * TIMEOUT_S)
                assert await connection.ask(ECHO, ["k"], doing="reading") == [b"k", b"PONG"]
        finally:
            await connection.close()
            await other.close()


async def test_the_pool_closes_the_channel_with_its_connections(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        async with opened(url) as channel:
            assert await channel.ask(("PING",)) == b"PONG"

        assert not channel.is_open


@pytest.mark.redis
async def test_a_channel_by_tls_is_one_as_any(tmp_path: Path) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with tls_server(binary, tmp_path) as url:
        async with opened(url) as channel, asyncio.timeout(IN_TIME_S):
            replies = await asyncio.gather(*(channel.ask(("ECHO", f"{i}")) for i in range(100)))

    assert replies == [f"{i}".encode() for i in range(100)]
