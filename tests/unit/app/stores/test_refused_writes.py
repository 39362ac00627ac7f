"""A store that can be read and takes no writes: a real one, in each way."""

from collections.abc import AsyncGenerator

import pytest
from redis.exceptions import SlotNotCoveredError

from app.stores.client import uncovered
from app.stores.connection import Connection
from app.stores.embedded import embedded_server
from app.stores.keys import counts_prefix, erasures_stream, events_stream, exposures_stream
from app.stores.server import Refusal, StoreServer
from models.domain.units import SECOND_US


@pytest.fixture
async def connection(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Connection]:
    with embedded_server(tmp_path_factory.mktemp("store")) as url:
        connection = Connection.open(url, timeout_s=10.0)
        yield connection
        await connection.close()


@pytest.mark.parametrize(
    "error",
    [KeyError(12), SlotNotCoveredError('Slot "12" is not covered by the cluster. "full=False"')],
)
def test_an_uncovered_slot_is_named_by_its_number(error: Exception) -> None:
    assert uncovered(error) == "no node of the cluster serves slot 12"
    assert uncovered(KeyError("name")) is None


async def test_a_store_that_takes_writes_refuses_none(connection: Connection) -> None:
    assert await StoreServer(connection).refused_write() is None


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (("CONFIG", "SET", "maxmemory", 1), Refusal.FULL),
        (("CONFIG", "SET", "min-replicas-to-write", 1), Refusal.OTHER),
        (("REPLICAOF", "127.0.0.1", 1), Refusal.REPLICA),
        (("ACL", "SETUSER", "default", "-set"), Refusal.RIGHTS),
    ],
)
async def test_why_it_refuses_writes_is_told_apart(
    connection: Connection, command: tuple[str | int, ...], refusal: Refusal
) -> None:
    await connection.execute(*command, doing="breaking it")

    refused = await StoreServer(connection).refused_write()

    assert refused is not None
    assert refused[0] is refusal, refused


COUNTS = counts_prefix(56)


@pytest.mark.parametrize(
    ("name", "of_s"),
    [
        (events_stream(56), None),
        (exposures_stream(56), None),
        (erasures_stream(56), None),
        (COUNTS + "written", None),
        (COUNTS + "lost", None),
        (COUNTS + "m", 60),
        (COUNTS + "h", 3600),
        (COUNTS + "u", 3600),
    ],
)
async def test_a_key_of_another_type_that_keeps_a_partition_from_writes_is_named(
    connection: Connection, name: str, of_s: int | None
) -> None:
    """Counters of a minute or hour by its number: the next one is broken too."""
    server = StoreServer(connection)
    now_s = await server.time_us() // SECOND_US
    broken = [name] if of_s is None else [f"{name}{now_s // of_s + later}" for later in (0, 1)]
    for key in broken:
        await connection.execute("SET", key, "another program's", doing="breaking it")

    refused = await server.refused_write()
    await connection.execute("DEL", *broken, doing="mending it")

    assert refused is not None
    refusal, reason = refused
    assert refusal is Refusal.DAMAGED
    assert reason.split(" such as ")[-1] in broken
    assert await server.refused_write() is None
