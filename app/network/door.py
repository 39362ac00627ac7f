"""Connection limits of a worker: number, number per address, and bytes held.

Where no place is left, the connection that has waited longest for its own caller is closed.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Protocol

from prometheus_client import Counter as CounterMetric

from app.bounded_log import BoundedLog
from app.network.refusal import TooManyConnectionsError

# A caller with IPv6 has a /64 to itself (RFC 6177), so that it counts as one address.
_NETWORK_BYTES: Final = 8

# A connection that sent no whole request after this may be closed for another. Chosen, not
# measured: many round trips of any network.
GRACE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits on callers of a worker; see docs/settings.md."""

    connections: int
    connections_per_address: int
    head_bytes: int  # of URL and headers
    headers: int
    head_s: float
    body_bytes: int  # a refused body is received up to this size, too
    body_s: float  # for a body to arrive, or for an answer to be read
    held_bytes: int
    keep_alive_s: int


class Caller(Protocol):
    """One connection, as `Door` uses it."""

    address: str

    def give_way(self) -> None:
        """Close at once."""
        ...

    def expire(self, now_s: float) -> None:
        """Close if the caller has kept the worker waiting for too long."""
        ...


@dataclass(slots=True)
class Door:
    """Door of a worker: admits its connections, and enforces their limits."""

    bounds: Bounds
    refused: CounterMetric
    n_held_bytes: int = 0
    callers: set[Caller] = field(default_factory=set[Caller])
    # A dict keeps its order: the first has waited longest for its caller to send or to read.
    waiting: dict[Caller, float] = field(default_factory=dict[Caller, float])
    # Those between two requests, in the same order.
    idle: dict[Caller, None] = field(default_factory=dict[Caller, None])
    _log: BoundedLog = field(default_factory=lambda: BoundedLog(__name__))
    _by_address: Counter[str] = field(default_factory=Counter[str])

    def admit(self, caller: Caller, now_s: float) -> None:
        """Admit a connection, if need be in the place of another.

        Raises:
            TooManyConnectionsError: If its address has too many, or every other connection has
                a request that is being answered.
        """
        if self._by_address[caller.address] >= self.bounds.connections_per_address:
            raise TooManyConnectionsError
        if len(self.callers) >= self.bounds.connections:
            # The slowest caller first: unfinished requests must not keep others out.
            longest = next(iter(self.waiting), None)
            is_slow = longest is not None and self.waiting[longest] + GRACE_S < now_s
            chosen = longest if is_slow else next(iter(self.idle), longest)
            if chosen is None:
                raise TooManyConnectionsError
            self.count("gave_way")
            self.leave(chosen)
            chosen.give_way()
        self.callers.add(caller)
        self._by_address[caller.address] += 1
        self.waiting[caller] = now_s

    def leave(self, caller: Caller) -> None:
        """Forget a connection that is closed; one that was not admitted is ignored."""
        if caller not in self.callers:
            return
        self.callers.discard(caller)
        self._by_address[caller.address] -= 1
        # A counter keeps zeros: callers would fill the memory with addresses.
        if not self._by_address[caller.address]:
            del self._by_address[caller.address]
        self.waiting.pop(caller, None)
        self.idle.pop(caller, None)

    def wait(self, caller: Caller, now_s: float) -> None:
        """Record that a connection waits for its caller to send or to read."""
        if caller in self.callers:
            self.idle.pop(caller, None)
            self.waiting.setdefault(caller, now_s)

    def answer(self, caller: Caller) -> None:
        """Record that a request has arrived whole: the caller waits for the worker."""
        self.waiting.pop(caller, None)
        self.idle.pop(caller, None)

    def rest(self, caller: Caller) -> None:
        """Record that a connection is between two requests."""
        if caller in self.callers:
            self.waiting.pop(caller, None)
            self.idle.setdefault(caller)

    def sweep(self, now_s: float) -> None:
        """Close the connections whose callers have taken too long."""
        for caller in list(self.callers):  # a list: callers that are closed leave the set
            caller.expire(now_s)

    def count(self, code: str) -> None:
        """Count a refusal, and log it at a bounded rate."""
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
