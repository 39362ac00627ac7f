"""Clients by TLS: connections with the same options share what their certificates took to read."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py annotates its clients' parts as unknown.

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from ssl import SSLContext, VerifyFlags
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from app.stores.client import Client, SentinelTlsConnection, TlsConnection, dialler
from tests.contract.servers import free_port, redis_binary, tls_server


def options(file: Path, kind: str) -> dict[str, Any]:
    """How connections are given a certificate that they trust."""
    return {
        "file": {"ssl_ca_certs": str(file)},
        "folder": {"ssl_ca_path": str(file.parent)},
        "machine": {},
    }[kind]


def replace(trusted: Path, authority: Path) -> None:
    """Have a folder hold this certificate alone, under the names that OpenSSL looks for."""
    for file in trusted.iterdir():
        file.unlink()
    shutil.copy(authority, trusted / "ca.pem")
    rehash: Sequence[str] = ["openssl", "rehash", str(trusted)]
    subprocess.run(rehash, check=True)


@pytest.mark.redis
@pytest.mark.parametrize("kind", ["file", "folder", "machine"])
async def test_a_certificate_that_was_replaced_is_trusted_by_the_same_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Those of the machine are replaced by its updates, while workers run."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    trusted, port = tmp_path / "trusted", free_port()
    trusted.mkdir()
    if kind == "machine":
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted / "ca.pem"))
    connections = [
        TlsConnection(host="localhost", port=port, **options(trusted / "ca.pem", kind))
        for _ in range(2)
    ]
    for year in ("first", "second"):
        (tmp_path / year).mkdir()
        with tls_server(binary, tmp_path / year, port=port):
            replace(trusted, tmp_path / year / "ca-cert.pem")
            contexts = list[object]()
            for one in connections:
                await one.connect()
                await one.disconnect()
                contexts.append(cast("object", one.ssl_context.context))

            assert contexts[0] is contexts[1]


@pytest.mark.redis
async def test_connections_with_other_options_have_another_context(tmp_path: Path) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    made = list[SSLContext]()
    with tls_server(binary, tmp_path) as url:
        port, file = int(url.split(":")[2].split("/")[0]), url.partition("=")[2]
        others: Sequence[dict[str, Any]] = (
            {},
            {"ssl_check_hostname": False},
            {"ssl_exclude_verify_flags": [VerifyFlags.VERIFY_X509_TRUSTED_FIRST]},
        )
        for other in others:
            one = TlsConnection(host="localhost", port=port, ssl_ca_certs=file, **other)
            await one.connect()
            await one.disconnect()
            made.append(cast("SSLContext", one.ssl_context.context))

    first, unchecked, flagged = made
    assert (first.check_hostname, unchecked.check_hostname) == (True, False)
    assert VerifyFlags.VERIFY_X509_TRUSTED_FIRST in first.verify_flags
    assert VerifyFlags.VERIFY_X509_TRUSTED_FIRST not in flagged.verify_flags


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
