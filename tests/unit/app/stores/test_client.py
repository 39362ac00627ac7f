"""Clients by TLS: connections with the same options share what their certificates took to read."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py annotates its clients' parts as unknown.

import os
from pathlib import Path
from ssl import SSLContext
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from app.stores.client import Client, SentinelTlsConnection, TlsConnection, dialler
from tests.contract.servers import redis_binary, tls_server


def context(file: Path, *, checks_host: bool = True) -> SSLContext:
    made = TlsConnection(ssl_ca_certs=str(file), ssl_check_hostname=checks_host)
    return cast("SSLContext", made.ssl_context.get())


@pytest.mark.redis
def test_connections_share_a_context_until_their_certificate_is_replaced(tmp_path: Path) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with tls_server(binary, tmp_path) as url:
        file = Path(url.partition("=")[2])
    first, second = context(file), context(file)
    unchecked = context(file, checks_host=False)
    os.utime(file, (1, 1))
    replaced = context(file)

    assert first is second
    assert (unchecked.check_hostname, first.check_hostname) == (False, True)
    assert replaced is not first
    assert replaced.cert_store_stats() == first.cert_store_stats()


def pooled(client: Client) -> object:
    assert isinstance(client, Redis)
    return client.connection_pool.connection_class


async def test_every_kind_of_client_shares_them() -> None:
    """The cluster's client takes no class of connections."""
    single, watched, cluster = (
        dialler(f"{url}", timeout_s=1.0, max_connections=2)(None)
        for url in (
            "rediss://localhost:1/0",
            "rediss+sentinel://localhost:1/shop/0",
            "rediss+cluster://localhost:1",
        )
    )

    assert isinstance(cluster, RedisCluster)
    assert pooled(single) is TlsConnection
    assert pooled(watched) is SentinelTlsConnection
    assert cluster.nodes_manager.connection_kwargs["connection_class"] is TlsConnection
    nodes = cluster.nodes_manager.startup_nodes.values()
    assert {node.connection_class for node in nodes} == {TlsConnection}
