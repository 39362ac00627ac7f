"""One server of each kind for the whole run, emptied for every test."""

from collections.abc import AsyncGenerator, Generator

import pytest

from app.stores.connection import Connection
from app.stores.embedded import embedded_server
from tests.contract.servers import redis_binary, redis_server


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The embedded Valkey."""
    with embedded_server(tmp_path_factory.mktemp("embedded")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A Redis of the system."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with redis_server(binary, tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def connection(url: str) -> AsyncGenerator[Connection]:
    """A connection to the server of the suite, empty."""
    connection = Connection.open(url, timeout_s=10.0)
    await connection.execute("FLUSHALL", doing="emptying the store")
    yield connection
    await connection.close()
