"""Client for threads: an `AsyncClient` that runs in a thread of its own."""

import asyncio
import atexit
from collections.abc import Coroutine
from threading import Lock, Thread
from typing import Any, Self, TypeVar, Unpack

from .answers import Ask, Assignment, Event, Page, PageAsk, Slate, Visit
from .async_client import MAX_WAITING, REMEMBER_S, TIMEOUT_S, AsyncClient
from .outbox import Outbox

_Answer = TypeVar("_Answer")


class Client:
    """A website's connection to the service, for any number of threads; see `AsyncClient`.

    Its thread starts with the first call: a server may make it before it forks its workers.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        remember_s: float = REMEMBER_S,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._client = AsyncClient(
            url, key=key, timeout_s=timeout_s, remember_s=remember_s, max_waiting=max_waiting
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._starting = Lock()

    @property
    def outbox(self) -> Outbox:
        """The events that wait, and how many were given up."""
        return self._client.outbox

    def recommend(self, **asked: Unpack[Ask]) -> Slate:
        """Return a list of sales; without the service, of the newest list, or none."""
        return self._run(self._client.recommend(**asked))

    def page(self, **asked: Unpack[PageAsk]) -> Page:
        """Return rows of sales; without the service, of the newest page, or empty ones."""
        return self._run(self._client.page(**asked))

    def assignments(self, **visit: Unpack[Visit]) -> list[Assignment] | None:
        """Return the variants of a visit, which counts none as shown; None without answer."""
        return self._run(self._client.assignments(**visit))

    def record(self, **event: Unpack[Event]) -> str:
        """Queue an event, to be sent within a second or as soon as can be, and return its id."""
        event_id = self._client.outbox.add(event)
        self._running().call_soon_threadsafe(self._client.wake)
        return event_id

    def flush(self) -> int:
        """Send what waits now, for some seconds, and return how many events still wait."""
        return self._run(self._client.flush())

    def close(self) -> None:
        """Send what waits, for some seconds, and hang up; also done as the process ends."""
        if self._loop is None or self._thread is None or self._loop.is_closed():
            return
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        """Use it in a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close at the end of the block."""
        self.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._loop.run_forever, daemon=True)
                self._thread.start()
                atexit.register(self.close)
            return self._loop

    def _run(self, asked: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(asked, self._running()).result()
