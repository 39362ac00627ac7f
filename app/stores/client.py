"""Clients of the store by its URL: one server, a cluster, or the master that Sentinels name."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py annotates options as unknown.

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import SSLContext, get_default_verify_paths
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import RedisSSLContext, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import SlotNotCoveredError

Client = Redis | RedisCluster
Dial = Callable[[Client | None], Client]
"""Makes a client; the client before it may know further addresses of the store."""

CLUSTER: Final = "+cluster"
"""Ends the scheme of a cluster's URL."""

SENTINEL: Final = "+sentinel"
"""Ends the scheme of the URL of Sentinels."""

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

# redis-py 8.1 looks the nodes of a slot up in a dictionary, and raises its KeyError.
UNCOVERED: Final = (SlotNotCoveredError, KeyError)
"""Errors of a cluster's client for a key whose slot no node serves; the message has the number."""

UNCOVERED_ADVICE: Final = (
    "bring the node of this slot back, or run `redis-cli --cluster fix HOST:PORT`"
)

Options = dict[str, Any]


class TlsConnection(SSLConnection):
    """Connection by TLS, whose context all connections with the same options share.

    redis-py makes one for each connection, which reads the certificates that the machine trusts:
    40 to 55 ms in which no answer is computed (Debian's 144 certificates, 2026-11-30).
    """

    def _connection_arguments(self) -> Mapping[str, Any]:
        # At each connect, not once: a pool connects the same object again and again.
        self.ssl_context.context = _shared(self.ssl_context)
        return super()._connection_arguments()


class SentinelTlsConnection(SentinelManagedConnection, TlsConnection):
    """The same to the master that Sentinels name."""


Changed = tuple[int, ...]
_contexts: Final[dict[tuple[str, ...], tuple[Changed, SSLContext]]] = {}


def _shared(own: RedisSSLContext) -> SSLContext:
    """Return the context of these options, made anew once a file that it read was replaced."""
    trusted = get_default_verify_paths()
    places = (own.ca_certs, own.certfile, own.keyfile, own.ca_path, trusted.cafile, trusted.capath)
    changed = tuple(Path(place).stat().st_mtime_ns for place in places if place)
    options = (getattr(own, name) for name in own.__slots__ if name != "context")
    key = tuple(map(repr, options))
    if key not in _contexts or _contexts[key][0] != changed:
        own.context = None
        _contexts[key] = (changed, own.get())
    return _contexts[key][1]


def uncovered(exc: BaseException | None) -> str | None:
    """Return which slot of a cluster no node serves, None if this is another error."""
    slot = re.search(r"\d+", str(exc)) if isinstance(exc, UNCOVERED) else None
    return f"no node of the cluster serves slot {slot[0]}" if slot else None


def dialler(url: str, *, timeout_s: float, max_connections: int) -> Dial:
    """Return what makes clients of a URL; see `Connection.open`.

    Raises:
        ValueError: If the URL has options that mean nothing.
    """
    options: Options = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    options["max_connections"] = max_connections
    scheme = url.partition("://")[0]
    if scheme.endswith(CLUSTER):
        return _cluster(url.replace(CLUSTER, "", 1), options)
    options["retry"] = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    if scheme.endswith(SENTINEL):
        return _sentinel(url.replace(SENTINEL, "", 1), options)
    options |= parse_url(url)
    if options.get("connection_class") is SSLConnection:
        options["connection_class"] = TlsConnection
    return lambda _before: Redis.from_pool(BlockingConnectionPool(timeout=timeout_s, **options))


async def close(client: Client) -> None:
    """Give back all connections of a client."""
    await client.aclose()
    if isinstance(client, RedisCluster):
        # After a node failed, `aclose` takes the client for closed.
        await client.nodes_manager.aclose()
        await client.nodes_manager.aclose("startup_nodes")
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        await client.connection_pool.sentinel_manager.aclose()


def _cluster(url: str, options: Options) -> Dial:
    nodes, login, _ = _parsed(url)
    retry = Retry(NoBackoff(), 1)

    def dial(before: Client | None) -> Client:
        # The URL's names may have moved, and its nodes may be gone while others live.
        known = before.get_nodes() if isinstance(before, RedisCluster) else []
        places = [*nodes, *((str(node.host), int(node.port)) for node in known)]
        start = [ClusterNode(host, port or REDIS_PORT) for host, port in dict.fromkeys(places)]
        # One slot that no node serves must not take the others away, unless the servers say so.
        client = RedisCluster(
            startup_nodes=start, retry=retry, require_full_coverage=False, **options, **login
        )
        if login.get("ssl"):
            # It takes no class of connections, and makes its nodes of these.
            client.connection_kwargs["connection_class"] = TlsConnection
            for node in client.nodes_manager.startup_nodes.values():
                node.connection_class = TlsConnection
        return client

    return dial


def _sentinel(url: str, options: Options) -> Dial:
    sentinels, login, path = _parsed(url)
    name, _, database = path.partition("/")
    user, password = login.pop("sentinel_username", None), login.pop("sentinel_password", None)
    of_sentinels = {k: v for k, v in (options | login).items() if k.startswith(("ssl", "socket_"))}
    of_sentinels |= {"username": user, "password": password}
    places = [(host, port or SENTINEL_PORT) for host, port in sentinels]
    if login.get("ssl"):
        login["connection_class"] = SentinelTlsConnection

    def dial(_before: Client | None) -> Client:
        manager = Sentinel(places, sentinel_kwargs=of_sentinels)
        return manager.master_for(name, db=int(database or 0), **options, **login)

    return dial


def _parsed(url: str) -> tuple[list[tuple[str, int | None]], Options, str]:
    """Return the places of a URL that may name several, its options, and its path."""
    scheme, _, rest = url.partition("://")
    rest, mark, query = rest.partition("?")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    each = [parse_url(f"{scheme}://{user}{at}{host}{mark}{query}") for host in hosts.split(",")]
    options: Options = {k: v for k, v in each[0].items() if k not in {"host", "port"}}
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return [(one.get("host", "localhost"), one.get("port")) for one in each], options, path
