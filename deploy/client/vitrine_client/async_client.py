"""Client for asyncio: lists, pages, and events that are sent until the service has answered."""

import asyncio
import logging
from typing import Any, Final, Self, Unpack, cast

import httpx

from .answers import Ask, Assignment, Event, Page, PageAsk, Slate, Visit
from .fallback import Fallback, with_closing
from .outbox import FLUSH_S, Outbox

TIMEOUT_S: Final = 0.3
REMEMBER_S: Final = 300.0
MAX_WAITING: Final = 10_000

_SEND_TIMEOUT_S: Final = 10.0
_CLOSE_S: Final = 5.0
_MAX_DETAIL: Final = 400  # characters of a refusal in the log

_LOG: Final = logging.getLogger("vitrine_client")


class AsyncClient:
    """A website's connection to the service; no method fails because the service does.

    Args:
        url: Address of the service.
        key: API key with the scopes ``read`` and ``events``; None where the service has no keys.
        timeout_s: Longest wait for a list or a page, a second try included.
        remember_s: Seconds for which the newest answer to the same question stands in.
        max_waiting: Events that wait at most; beyond it the oldest are dropped.
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
        headers = {} if key is None else {"X-API-Key": key}
        # No time of httpx's own: each call has one time for all that it does.
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=None)  # noqa: S113 - as said
        self._timeout_s = timeout_s
        self._fallback = Fallback(remember_s)
        self._outbox = Outbox(max_waiting)
        self._sending = asyncio.Lock()
        self._sender: asyncio.Task[None] | None = None

    @property
    def outbox(self) -> Outbox:
        """The events that wait, and how many were given up."""
        return self._outbox

    async def recommend(self, **asked: Unpack[Ask]) -> Slate:
        """Return a list of sales; without the service, of the newest list, or none."""
        given: dict[str, Any] = {**asked, "fields": with_closing(asked.get("fields", ()))}
        found = await self._get("/v1/recommendations", given)
        if found is None:
            return self._fallback.slate(asked)
        slate = cast("Slate", found)
        self._fallback.remember(asked, {"": slate["items"]})
        return slate

    async def page(self, **asked: Unpack[PageAsk]) -> Page:
        """Return rows of sales; without the service, of the newest page, or empty ones."""
        body = {**asked, "fields": with_closing(asked.get("fields", ()))}
        found = await self._ask(
            self._http.build_request("POST", "/v1/pages", json=body), has="rows"
        )
        if found is None:
            return self._fallback.page(asked)
        page = cast("Page", found)
        self._fallback.remember(asked, {row["name"]: row["items"] for row in page["rows"]})
        return page

    async def assignments(self, **visit: Unpack[Visit]) -> list[Assignment] | None:
        """Return the variants of a visit, which counts none as shown; None without answer."""
        found = await self._get("/v1/assignments", {**visit})
        return None if found is None else cast("list[Assignment]", found["items"])

    def record(self, **event: Unpack[Event]) -> str:
        """Queue an event, to be sent within a second or as soon as can be, and return its id."""
        event_id = self._outbox.add(event)
        self.wake()
        return event_id

    def wake(self) -> None:
        """Send what waits, unless that is going on."""
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all(FLUSH_S))

    async def flush(self, timeout_s: float = _CLOSE_S) -> int:
        """Send what waits now, and return how many events still wait."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._send_all(0.0)
        except TimeoutError:
            _LOG.warning("%d events wait after %g s", len(self._outbox), timeout_s)
        return len(self._outbox)

    async def close(self) -> None:
        """Send what waits, for some seconds, and hang up."""
        await self.flush()
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Use it in a block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close at the end of the block."""
        await self.close()

    async def _get(self, path: str, given: dict[str, Any]) -> dict[str, Any] | None:
        params = {name: value for name, value in given.items() if value is not None}
        return await self._ask(self._http.build_request("GET", path, params=params), has="items")

    async def _ask(self, request: httpx.Request, *, has: str) -> dict[str, Any] | None:
        """Ask twice within the time; None without an answer that has the field."""
        path = request.url.path
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    answer = await self._http.send(request)
                except httpx.TransportError:  # a connection that the service had just closed
                    answer = await self._http.send(request)
            found = answer.json()
        except (TimeoutError, httpx.TransportError, ValueError) as exc:
            _LOG.warning("%s: no answer: %r", path, exc)
            return None
        if answer.is_success and has in found:
            return cast("dict[str, Any]", found)
        _LOG.warning("%s answered %d: %s", path, answer.status_code, answer.text[:_MAX_DETAIL])
        return None

    async def _send_all(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        while len(self._outbox):
            async with self._sending:
                wait_s = await self._send()
            await asyncio.sleep(wait_s)

    async def _send(self) -> float:
        batch = self._outbox.batch()
        if not batch:
            return 0.0
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                answer = await self._http.post("/v1/events", json={"events": batch})
            if answer.is_success:
                return self._outbox.answered(batch, answer.json()["results"])
        except (TimeoutError, httpx.TransportError, ValueError, KeyError) as exc:
            return self._outbox.refused(batch, 0, repr(exc))
        return self._outbox.refused(batch, answer.status_code, answer.text[:_MAX_DETAIL])
