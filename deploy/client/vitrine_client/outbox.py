"""Outbox: events that wait until the service has answered for them."""

import logging
import random
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Final
from uuid import uuid4

from .answers import Event, EventResult

BATCH: Final = 500  # events; the service takes 1,000
FLUSH_S: Final = 1.0
MAX_WAIT_S: Final = 30.0

# The batch will never be taken: its key, its time or its load are not at fault.
_HOPELESS: Final = frozenset({400, 413, 415, 422})

_LOG: Final = logging.getLogger("vitrine_client")


class Outbox:
    """Events in order, of any thread; the oldest are dropped beyond a limit.

    Attributes:
        dropped: Events that were given up so far: beyond the limit, or refused by the service.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._waiting: deque[Event] = deque()
        self._failures = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of events that wait."""
        return len(self._waiting)

    def add(self, event: Event) -> str:
        """Queue an event, and return its id, by which repetitions count once."""
        event = {"event_id": uuid4().hex, "at": datetime.now(UTC).isoformat(), **event}
        with self._lock:
            self._waiting.append(event)
            if len(self._waiting) > self._limit:
                self._waiting.popleft()
                self._give_up(1, f"{self._limit} events wait already")
        return event["event_id"]

    def batch(self) -> list[Event]:
        """Return the oldest events, which stay until they are answered."""
        with self._lock:
            return [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]

    def answered(self, batch: Sequence[Event], results: Sequence[EventResult]) -> float:
        """Remove what was answered, and return the seconds to wait before the next batch."""
        again = [batch[one["index"]] for one in results if one["status"] == "unavailable"]
        self._remove(batch, again)
        for one in results:
            if one["status"] == "rejected":
                self._give_up(1, f"event {one['event_id']} was rejected: {one['detail']}")
        self._failures = self._failures + 1 if again else 0
        return self._wait_s() if again else 0.0

    def refused(self, batch: Sequence[Event], status: int, detail: str) -> float:
        """Note that a batch was not taken, and return the seconds to wait."""
        if status in _HOPELESS:
            self._remove(batch, [])
            self._give_up(len(batch), f"the service answered {status}: {detail}")
            return 0.0
        self._failures += 1
        _LOG.warning("%d events wait: %s %s", len(self), status or "no answer:", detail)
        return self._wait_s()

    def _remove(self, batch: Sequence[Event], again: Sequence[Event]) -> None:
        """Remove a batch; events to send again go behind the others, which must not wait."""
        ids = {id(one) for one in batch}
        with self._lock:
            kept = [one for one in self._waiting if id(one) not in ids]
            self._waiting = deque([*kept, *again])

    def _give_up(self, n_events: int, why: str) -> None:
        self.dropped += n_events
        _LOG.error("%d events given up: %s", n_events, why)

    def _wait_s(self) -> float:
        longest = min(MAX_WAIT_S, FLUSH_S * 2**self._failures)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, hides nothing
