"""The connection to the store: pools, timeouts, scripts; failures become one error."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py annotates replies as unknown; this module is where they become `object`.

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Final, Self, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from app.errors import StoreUnavailableError

Client = Redis | RedisCluster
Argument = str | bytes | int
Command = tuple[Argument, ...]

CLUSTER: Final = "+cluster"
"""Ends the scheme of a cluster's URL."""

NO_KEY: Final = frozenset({"PING", "TIME", "INFO"})
"""Commands that any node of a cluster may answer."""

DEFAULT_TIMEOUT_S: Final = 1.0
DEFAULT_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script that runs atomically inside the store, in one slot.

    Attributes:
        source: Its text.
        sha: What EVALSHA knows it by.
    """

    source: str
    sha: str

    @classmethod
    def of(cls, source: str) -> Self:
        """Take a script's text."""
        return cls(source, sha1(source.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def named(cls, name: str, *, after: Sequence[str] = ()) -> Self:
        """Read a script that lies beside this module, put after others if given."""
        shebang, end, rest = _lua(name).partition("\n")
        return cls.of(shebang + end + "".join(map(_lua, after)) + rest)

    def by_sha(self, keys: Sequence[str], *arguments: Argument) -> Command:
        """Return the command that runs it where the store knows it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)

    def in_full(self, command: Command) -> Command:
        """Return the command of `by_sha` for a store that does not know the script yet."""
        return ("EVAL", self.source, *command[2:])


def _lua(name: str) -> str:
    return files("app.stores").joinpath(f"{name}.lua").read_text(encoding="utf-8")


class Connection:
    """One pool of connections to the store; share it between the stores of a process.

    Every failure leaves it as `StoreUnavailableError`. A command that a broken connection
    swallowed is sent once more: whatever the stores send may be repeated.
    """

    def __init__(self, client: Client, *, timeout_s: float, max_connections: int) -> None:
        self._client = client
        self._timeout_s = timeout_s
        # A cluster's client refuses what it has no connection for; here it waits.
        self._places = asyncio.Semaphore(max_connections)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_connections: int = DEFAULT_CONNECTIONS,
    ) -> Self:
        """Prepare a pool; nothing is connected before the first command.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``; ``redis+cluster://`` or
                ``rediss+cluster://`` for a cluster, by the address of any node.
            timeout_s: Longest wait for a free connection, for connecting, and for an answer.
            max_connections: Further commands wait for a free one.
        """
        waits = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        scheme, _, address = url.partition("://")
        if scheme.endswith(CLUSTER):
            one_node = f"{scheme.removesuffix(CLUSTER)}://{address}"
            client: Client = RedisCluster.from_url(
                one_node, max_connections=max_connections, retry=Retry(NoBackoff(), 1), **waits
            )
        else:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=timeout_s,
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
                **waits,
            )
            client = Redis.from_pool(pool)
        return cls(client, timeout_s=timeout_s, max_connections=max_connections)

    async def execute(self, *command: Argument, doing: str) -> object:
        """Run one command.

        Args:
            *command: Its words.
            doing: What the caller does, for the message of a failure: "reading a customer".

        Raises:
            StoreUnavailableError: If the store is down, slow, or refuses.
        """
        async with self._place(doing):
            return cast(
                "object", await self._client.execute_command(*command, **self._node(command))
            )

    async def execute_many(self, commands: Sequence[Command], *, doing: str) -> list[object]:
        """Run commands in one round trip, each on its own, see `execute`."""
        replies = await self._pipeline(commands, doing=doing)
        return _without_failure(replies, doing=doing)

    async def run(
        self, script: Script, keys: Sequence[str], *arguments: Argument, doing: str
    ) -> object:
        """Run a script, see `execute`; one round trip where the store knows the script."""
        command = script.by_sha(keys, *arguments)
        async with self._place(doing):
            try:
                return cast("object", await self._client.execute_command(*command))
            except NoScriptError:
                full = script.in_full(command)
                return cast("object", await self._client.execute_command(*full))

    async def run_many(
        self, script: Script, commands: Sequence[Command], *, doing: str
    ) -> list[object]:
        """Run a script for each command of `Script.by_sha`, in one round trip."""
        replies = await self._pipeline(commands, doing=doing)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        repeated = await self._pipeline([script.in_full(commands[i]) for i in unknown], doing=doing)
        for i, reply in zip(unknown, repeated, strict=True):
            replies[i] = reply
        return _without_failure(replies, doing=doing)

    @asynccontextmanager
    async def _place(self, doing: str) -> AsyncGenerator[None]:
        async with _translated(doing):
            async with asyncio.timeout(self._timeout_s):
                await self._places.acquire()
            try:
                yield
            finally:
                self._places.release()

    def _node(self, command: Command) -> dict[str, str]:
        is_anywhere = isinstance(self._client, RedisCluster) and command[0] in NO_KEY
        return {"target_nodes": RedisCluster.DEFAULT_NODE} if is_anywhere else {}

    async def close(self) -> None:
        """Give back all connections."""
        await self._client.aclose()

    async def _pipeline(self, commands: Sequence[Command], *, doing: str) -> list[object]:
        if not commands:
            return []
        async with self._place(doing):
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                _ = pipeline.execute_command(*command)
            return cast("list[object]", await pipeline.execute(raise_on_error=False))


@asynccontextmanager
async def _translated(doing: str) -> AsyncGenerator[None]:
    try:
        yield
    except (RedisError, OSError) as exc:
        raise StoreUnavailableError(doing, str(exc)) from exc


def _without_failure(replies: list[object], *, doing: str) -> list[object]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise StoreUnavailableError(doing, str(reply)) from reply
    return replies
