"""Open connections of a worker: how many, of which address, and the bytes that they hold.

Where no place is left, the connection that has waited longest for its own caller gives way.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Protocol

from prometheus_client import Counter as CounterMetric

from app.bounded_log import BoundedLog
from app.network.refusal import TooManyConnectionsError

_NETWORK_BYTES: Final = 8
"""A caller with IPv6 has a /64 to itself, so that it counts as one address."""

GRACE_S: Final = 1.0
"""Within this a connection that was just opened sends its request, unless its caller is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What callers may take of a worker; see docs/settings.md.

    Attributes:
        connections: Connections open at once.
        connections_per_address: Those of one address.
        head_bytes: URL and headers of a request.
        headers: Number of its headers.
        head_s: Time for them to arrive.
        body_bytes: Largest body; more of one that is not wanted is not received either.
        body_s: Time for a body to arrive, or for an answer to be read.
        held_bytes: Bytes of all requests that are received or answered at once.
        keep_alive_s: Time between an answer and the next request of a connection.
    """

    connections: int
    connections_per_address: int
    head_bytes: int
    headers: int
    head_s: float
    body_bytes: int
    body_s: float
    held_bytes: int
    keep_alive_s: int


class Caller(Protocol):
    """One connection, as the door sees it."""

    address: str

    def give_way(self) -> None:
        """Close at once."""
        ...

    def expire(self, now_s: float) -> None:
        """Close if the caller has kept the worker waiting for too long."""
        ...


@dataclass(slots=True)
class Door:
    """All connections of a worker.

    Attributes:
        bounds: What they may take.
        refused: Counts what was refused, by code.
        n_held_bytes: Bytes of requests that are received or answered now.
        callers: Connections that were let in.
        waiting: Those whose request is not there in full, or whose answer is not read, the
            longest wait first, with when it began.
        idle: Those between two requests, the longest wait first.
    """

    bounds: Bounds
    refused: CounterMetric
    n_held_bytes: int = 0
    callers: set[Caller] = field(default_factory=set[Caller])
    waiting: dict[Caller, float] = field(default_factory=dict[Caller, float])
    idle: dict[Caller, None] = field(default_factory=dict[Caller, None])
    _log: BoundedLog = field(default_factory=lambda: BoundedLog(__name__))
    _by_address: Counter[str] = field(default_factory=Counter[str])

    def admit(self, caller: Caller, now_s: float) -> None:
        """Let a connection in, if need be in the place of another.

        Raises:
            TooManyConnectionsError: If its address has too many, or every other connection has
                a request that is being answered.
        """
        if self._by_address[caller.address] >= self.bounds.connections_per_address:
            raise TooManyConnectionsError
        if len(self.callers) >= self.bounds.connections:
            self._make_room(now_s)
        self.callers.add(caller)
        self._by_address[caller.address] += 1
        self.waiting[caller] = now_s

    def _make_room(self, now_s: float) -> None:
        longest = next(iter(self.waiting), None)
        is_slow = longest is not None and self.waiting[longest] + GRACE_S < now_s
        chosen = longest if is_slow else next(iter(self.idle), longest)
        if chosen is None:
            raise TooManyConnectionsError
        self.count("gave_way")
        self.leave(chosen)
        chosen.give_way()

    def leave(self, caller: Caller) -> None:
        """Forget a connection that is closed; one that was not let in is not known."""
        if caller not in self.callers:
            return
        self.callers.discard(caller)
        self._by_address[caller.address] -= 1
        if not self._by_address[caller.address]:
            del self._by_address[caller.address]
        self.waiting.pop(caller, None)
        self.idle.pop(caller, None)

    def wait(self, caller: Caller, now_s: float) -> None:
        """Note that a connection waits for its caller to send or to read."""
        if caller in self.callers:
            self.idle.pop(caller, None)
            self.waiting.setdefault(caller, now_s)

    def answer(self, caller: Caller) -> None:
        """Note that a request is there in full: the caller waits for the worker."""
        self.waiting.pop(caller, None)
        self.idle.pop(caller, None)

    def rest(self, caller: Caller) -> None:
        """Note that a connection is between two requests."""
        if caller in self.callers:
            self.waiting.pop(caller, None)
            self.idle.setdefault(caller)

    def sweep(self, now_s: float) -> None:
        """Close the connections whose callers have taken too long."""
        for caller in list(self.callers):
            caller.expire(now_s)

    def count(self, code: str) -> None:
        """Count what was refused, and log it at a bounded rate."""
        self.refused.labels(code).inc()
        self._log.warning("a caller was refused before the application", code, code=code)


def network_of(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - of the protocol
        return host
    return address.packed[:_NETWORK_BYTES].hex()
