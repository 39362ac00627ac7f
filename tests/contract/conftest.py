"""One server of each kind for the whole run, emptied for every test."""

from collections.abc import AsyncGenerator, Generator

import pytest

from app.stores.connection import Connection
from app.stores.embedded import embedded_server
from tests.contract.servers import acl_server, cluster, redis_binary, redis_server, tls_server

SERVERS = {"plain": redis_server, "tls": tls_server, "acl": acl_server, "cluster": cluster}


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The embedded Valkey."""
    with embedded_server(tmp_path_factory.mktemp("embedded")) as url:
        yield url


@pytest.fixture(scope="session", params=["plain", "tls", "acl", "cluster"])
def redis_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """A Redis of the system: as it is, by TLS, with the least rights, and as a cluster."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with SERVERS[request.param](binary, tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture
async def connection(url: str) -> AsyncGenerator[Connection]:
    """A connection to the server of the suite, empty."""
    connection = Connection.open(url, timeout_s=10.0)
    await connection.execute("FLUSHALL", doing="emptying the store")
    yield connection
    await connection.close()
