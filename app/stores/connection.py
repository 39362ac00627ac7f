"""The connection to the store: pool, timeouts, scripts, and one error for every failure."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py annotates replies as unknown; this module is where they become `object`.

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha1
from ssl import SSLCertVerificationError
from typing import Any, Final, Self, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.errors import StoreUnavailableError
from app.observability import get_logger
from app.stores.channel import Channel
from app.stores.client import UNCOVERED, UNCOVERED_ADVICE, Client, Dial, close, dialler, uncovered
from app.stores.cluster import Argument, Command, keys_of, run_by_node
from app.stores.deadline import within
from app.stores.keys import without_customer
from app.stores.rights import commands_in, lua

# No key says which node of a cluster is asked: any may answer.
_ANY_NODE: Final = frozenset({"PING", "TIME"})

# For commands and tests; the service passes its settings. Chosen.
DEFAULT_TIMEOUT_S: Final = 1.0
DEFAULT_CONNECTIONS: Final = 32

# The store is dialled anew once a second at most, for any number of failed commands; where a slot
# is not served, which may last, ever more rarely: the connections to all other nodes are given up.
_RENEW_EVERY_S: Final = 1.0
_RENEW_AT_LEAST_EVERY_S: Final = 4.0
# An outage is one line of the log a minute, not one for every time that the store is dialled.
_QUIET_S: Final = 60.0

# READONLY; CLUSTERDOWN and MASTERDOWN; LOADING: another server may be the master by now.
_NO_LONGER_MASTER: Final = (ReadOnlyError, ClusterDownError, BusyLoadingError)
# Begins the refusal of a master that was cut off from its replicas.
_NO_REPLICAS: Final = "NOREPLICAS"
# What to do, by the failure.
_ADVICE: Final = {
    UNCOVERED: UNCOVERED_ADVICE,
    MasterNotFoundError: "NAME of redis+sentinel://HOSTS/NAME has to be that of a master which the"
    " Sentinels monitor, and one of them has to be reachable",
    AuthenticationError: "VITRINE_REDIS_URL has to hold a user and a password of the store",
    SSLCertVerificationError: "VITRINE_REDIS_URL has to name the certificate of the authority that"
    " signed the store's (?ssl_ca_certs=/path/ca.pem), and the host that it is for",
    FileNotFoundError: "VITRINE_REDIS_URL names a file that is not there: a certificate (ssl_…), or"
    " the socket of a server that does not run",
}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script that runs atomically inside the store, in one slot."""

    source: str
    sha: str

    @classmethod
    def from_source(cls, source: str) -> Self:
        """Return the script of a text."""
        return cls(source, sha1(source.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def named(
        cls, name: str, *, after: Sequence[str] = (), also: Collection[str] = frozenset()
    ) -> Self:
        """Read a script beside this module.

        A script that writes begins only where the user has the rights to all its commands.

        Args:
            name: Its file, without the ending.
            after: Files of functions that it calls.
            also: Further commands that the user must have the right to.
        """
        shebang, end, rest = lua(name).partition("\n")
        body = "".join(map(lua, after)) + rest
        if "no-writes" not in shebang:
            commands = sorted(commands_in(body).union(also))
            checks = " and ".join(f"may('{command}', key)" for command in commands)
            body = (
                f"local COMMANDS = '{' '.join(commands)}'\n"
                f"local function has_rights(may, key) return {checks} end\n{lua('rights')}{body}"
            )
        return cls.from_source(shebang + end + body)

    def by_sha(self, keys: Sequence[str], *arguments: Argument) -> Command:
        """Return the command that runs it where the store knows it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)

    def in_full(self, command: Command) -> Command:
        """Return the command of `by_sha` for a store that does not know the script yet."""
        return ("EVAL", self.source, *command[2:])


class Connection:
    """One pool of connections to the store; share it between the stores of a process.

    Every failure leaves it as `StoreUnavailableError`. A command that a broken connection
    swallowed is sent once more: all commands of the stores may be repeated. Where the server
    behind a connection is no longer the master, all connections are given up and dialled anew.
    """

    def __init__(self, dial: Dial, *, timeout_s: float, max_connections: int) -> None:
        self._dial = dial
        self._client = dial(None)
        self._renew_at_s = self._quiet_until_s = 0.0
        self._renew_pause_s = _RENEW_EVERY_S
        self._retiring = set[asyncio.Task[None]]()
        self._timeout_s = timeout_s
        self._channel: Channel | None = None
        self._opening: asyncio.Task[None] | None = None
        self._open_at_s = 0.0
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
                ``rediss+cluster://`` for a cluster, by the addresses of some nodes;
                ``redis+sentinel://`` or ``rediss+sentinel://`` for the master that Sentinels
                name, by their addresses. docs/store.md has examples.
            timeout_s: Longest wait for a free connection, for connecting, and for an answer.
            max_connections: Further commands wait for a free one.
        """
        # One more for the channel.
        dial = dialler(url, timeout_s=timeout_s, max_connections=max_connections + 1)
        return cls(dial, timeout_s=timeout_s, max_connections=max_connections)

    async def execute(self, *command: Argument, doing: str) -> object:
        """Run one command.

        Args:
            *command: Its words.
            doing: The operation, for the message of a failure: "reading a customer".

        Raises:
            StoreUnavailableError: If the store is down, slow, or refuses.
        """
        async with self._place(doing, command) as client:
            is_anywhere = isinstance(client, RedisCluster) and command[0] in _ANY_NODE
            node = {"target_nodes": RedisCluster.DEFAULT_NODE} if is_anywhere else {}
            return cast("object", await client.execute_command(*command, **node))

    async def info(self, *, doing: str) -> list[Mapping[str, object]]:
        """Return what each server says of itself; of a cluster, each master. See `execute`."""
        async with self._place(doing) as client:
            if not isinstance(client, RedisCluster):
                return [cast("Mapping[str, object]", await client.execute_command("INFO"))]
            await client.initialize()
            masters = client.get_primaries()
            replies = cast(
                "Mapping[str, Any]", await client.execute_command("INFO", target_nodes=masters)
            )
            # Of a single node redis-py returns the reply itself.
            return [*replies.values()] if len(masters) > 1 else [replies]

    async def execute_many(self, commands: Sequence[Command], *, doing: str) -> list[object]:
        """Run commands in one round trip, each on its own, see `execute`."""
        return _without_failure(await self.execute_each(commands, doing=doing))

    async def execute_each(
        self, commands: Sequence[Command], *, doing: str
    ) -> list[object | StoreUnavailableError]:
        """Run commands in one round trip; the reply to one that fails is the error.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        replies = await self._pipeline(commands, doing=doing)
        return self._with_outages(commands, replies, doing=doing)

    async def run(
        self, script: Script, keys: Sequence[str], *arguments: Argument, doing: str
    ) -> object:
        """Run a script, see `execute`; one round trip where the store knows the script."""
        command = script.by_sha(keys, *arguments)
        async with self._place(doing, command) as client:
            try:
                return cast("object", await client.execute_command(*command))
            except NoScriptError:
                full = script.in_full(command)
                return cast("object", await client.execute_command(*full))

    async def ask(
        self,
        script: Script,
        keys: Sequence[str],
        *,
        doing: str,
        within_s: float | None = None,
    ) -> object:
        """Run a script that reads, on the channel of all such reads.

        Where there is none (yet), of a cluster, or where it ends or has no reply, it is `run`.

        Args:
            script: Writes nothing: it may run twice.
            keys: Its keys, of one slot.
            doing: See `execute`.
            within_s: Longest wait; the connection's own if None.

        Raises:
            StoreUnavailableError: If the store is down, slow, or refuses.
            TimeoutError: If it takes longer than `within_s`.
        """
        channel = self._usable_channel()
        if channel is not None:
            command = script.by_sha(keys)
            is_short = within_s is not None and within_s < self._timeout_s
            try:
                async with asyncio.timeout(within_s if is_short else self._timeout_s):
                    reply = await channel.ask(command)
                if not isinstance(reply, Exception):
                    return reply
            except RedisConnectionError:
                pass
            except TimeoutError as exc:
                if is_short:
                    raise
                raise self._outage(RedisTimeoutError("no reply"), command, doing=doing) from exc
        return await within(within_s, self.run(script, keys, doing=doing))

    def _usable_channel(self) -> Channel | None:
        """Return the channel to the present server; if there is none, open it meanwhile."""
        channel, client = self._channel, self._client
        if channel is not None and channel.is_open and channel.client is client:
            return channel
        now_s = time.monotonic()
        is_opening = self._opening is not None and not self._opening.done()
        if isinstance(client, Redis) and not is_opening and now_s >= self._open_at_s:
            self._open_at_s = now_s + _RENEW_EVERY_S
            self._opening = asyncio.create_task(self._open_channel(client))
        return None

    async def _open_channel(self, client: Redis) -> None:
        # Without it reads are slower, and say what is wrong with the store.
        with suppress(RedisError, OSError):
            self._channel = await Channel.open(client, timeout_s=self._timeout_s)

    async def run_many(
        self, script: Script, commands: Sequence[Command], *, doing: str
    ) -> list[object]:
        """Run a script for each command of `Script.by_sha`, in one round trip."""
        return _without_failure(await self.run_each(script, commands, doing=doing))

    async def run_each(
        self, script: Script, commands: Sequence[Command], *, doing: str
    ) -> list[object | StoreUnavailableError]:
        """Run a script for each command of `Script.by_sha`, see `execute_each`."""
        replies = await self._pipeline(commands, doing=doing)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        repeated = await self._pipeline([script.in_full(commands[i]) for i in unknown], doing=doing)
        for i, reply in zip(unknown, repeated, strict=True):
            replies[i] = reply
        return self._with_outages(commands, replies, doing=doing)

    @asynccontextmanager
    async def _place(self, doing: str, command: Command = ()) -> AsyncGenerator[Client]:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._places.acquire()
            try:
                yield self._client
            finally:
                self._places.release()
        except Exception as exc:
            raise self._outage(exc, command, doing=doing) from exc

    def _outage(self, exc: Exception, command: Command, *, doing: str) -> StoreUnavailableError:
        """Return a failure as the error of stores, and dial anew where that may help."""
        reason = uncovered(exc) or str(exc) or type(exc).__name__
        now_s = time.monotonic()
        if now_s >= self._renew_at_s and _needs_dialling(self._client, exc):
            lasts = isinstance(exc, UNCOVERED) and now_s < self._renew_at_s + _RENEW_EVERY_S
            pause_s = 2 * self._renew_pause_s if lasts else _RENEW_EVERY_S
            self._renew_pause_s = min(pause_s, _RENEW_AT_LEAST_EVERY_S)
            self._renew_at_s = now_s + self._renew_pause_s
            if now_s >= self._quiet_until_s:
                _log.warning("the store is dialled anew", doing=doing, reason=reason)
            self._quiet_until_s = now_s + _QUIET_S
            before, self._client = self._client, self._dial(self._client)
            retiring = asyncio.create_task(self._retire(before))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        # A cluster and a Unix socket raise a refused login as the cause of another error.
        seen = (exc, exc.__cause__, exc.__context__)
        advice = [text for kind, text in _ADVICE.items() if any(isinstance(e, kind) for e in seen)]
        if _is_wrong_kind(exc):
            keys = ", ".join(without_customer(str(key)) for key in keys_of(command))
            advice.append(
                f"of {keys}, one key holds what another program stored: remove it (`redis-cli DEL"
                " KEY`); `python -m app doctor` names it, unless it is a customer's: erase that one"
            )
        return StoreUnavailableError(doing, "; ".join([reason, *advice]))

    async def _retire(self, client: Client) -> None:
        """Close a client once its last commands have ended or timed out."""
        try:
            await asyncio.sleep(2 * self._timeout_s)
        finally:
            with suppress(RedisError, OSError):
                await close(client)

    async def close(self) -> None:
        """Give back all connections."""
        await asyncio.sleep(0)  # cancelled before it begins, a task would close nothing
        ending = (*self._retiring, *([self._opening] if self._opening else []))
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await close(self._client)

    async def _pipeline(self, commands: Sequence[Command], *, doing: str) -> list[object]:
        if not commands:
            return []
        async with self._place(doing) as client:
            if isinstance(client, RedisCluster):
                return await run_by_node(client, commands)
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                _ = pipeline.execute_command(*command)
            return cast("list[object]", await pipeline.execute(raise_on_error=False))

    def _with_outages(
        self, commands: Sequence[Command], replies: Sequence[object], *, doing: str
    ) -> list[object | StoreUnavailableError]:
        outcomes: list[object | StoreUnavailableError] = []
        for command, reply in zip(commands, replies, strict=True):
            outcome = reply
            if isinstance(reply, Exception):
                outcome = self._outage(reply, command, doing=doing)
                outcome.__cause__ = reply
            outcomes.append(outcome)
        return outcomes


def _without_failure(outcomes: list[object | StoreUnavailableError]) -> list[object]:
    for outcome in outcomes:
        if isinstance(outcome, StoreUnavailableError):
            raise outcome
    return outcomes


def is_of_another_type(outcome: object) -> bool:
    """Tell whether a command of `Connection.execute_each` met a key of another type."""
    return isinstance(outcome, StoreUnavailableError) and _is_wrong_kind(outcome.__cause__)


def _is_wrong_kind(exc: BaseException | None) -> bool:
    return isinstance(exc, ResponseError) and "wrong kind of value" in str(exc)


def _needs_dialling(client: Client, exc: Exception) -> bool:
    """Return whether the server behind an address may be another one by now.

    The client of a cluster finds other nodes by itself. Once none that it knows answers, it
    raises an error that is no `RedisError`.
    """
    if isinstance(exc, RedisTimeoutError):
        return not isinstance(client, RedisCluster)
    if isinstance(exc, (*_NO_LONGER_MASTER, *UNCOVERED)) or str(exc).startswith(_NO_REPLICAS):
        return True
    return not isinstance(exc, (RedisError, OSError))
