"""Admission of requests in front of the routes that rank or take events."""

import time
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from math import inf
from operator import contains
from types import coroutine
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.schema.problem import error_response
from app.errors import OverloadedError
from app.network.protocol import ARRIVED, GONE
from app.recommend.admission import Admission, Lane, Outcome, Ticket

TURN: Final = "turn"
# A caller that comes back at once meets the same queue, and a balancer has another worker by then.
RETRY_AFTER: Final = {"Retry-After": "1"}

_LANES: Final = {
    ("GET", "/v1/recommendations"): Lane.RANKINGS,
    ("POST", "/v1/rank"): Lane.RANKINGS,
    ("POST", "/v1/recommendations/batch"): Lane.RANKINGS,
    ("POST", "/v1/pages"): Lane.RANKINGS,
    ("POST", "/v1/events"): Lane.EVENTS,
}


class AdmissionControl:
    """ASGI middleware: requests that rank or post events take turns; all others pass.

    A request waits before it is routed or validated, with a body as soon as that is complete: a
    caller who sends slowly takes no place. Its turn stands in the state of its scope.
    """

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission
        self._refusal = error_response(OverloadedError(), RETRY_AFTER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it is its turn, or answer 503."""
        lane = _LANES.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if lane is None:
            await self._app(scope, receive, send)
            return
        turn = scope["state"][TURN] = Turn(
            self._admission, lane, is_gone=partial(contains, scope["state"], GONE)
        )
        app = self._app
        try:
            if scope["method"] == "POST":
                receive = turn.after(receive)
            else:
                outcome = await turn.take(scope["state"][ARRIVED])
                if outcome is Outcome.GONE:
                    return
                app = self._refusal if outcome is Outcome.REFUSED else app
            await metered(app(scope, receive, send), turn.spend)
        finally:
            turn.end()


class Turn:
    """The turn of one request.

    Attributes:
        n_answers: Rankings that it asks for.
    """

    def __init__(self, admission: Admission, lane: Lane, *, is_gone: Callable[[], bool]) -> None:
        """Wait for nothing yet."""
        self._admission = admission
        self._is_gone = is_gone
        self._lane = lane
        self._ticket: Ticket | None = None
        self._spent_s = 0.0
        self._is_over = False
        self.n_answers = 1

    @property
    def ends_s(self) -> float:
        """When the answer is due, in seconds of `time.monotonic`; long past if it is shed."""
        if self._ticket is None:
            return inf
        return -inf if self._ticket.is_shed else self._ticket.ends_s

    async def take(self, arrived_s: float) -> Outcome | None:
        """Wait for the turn, and return how to answer."""
        self._ticket = await self._admission.enter(self._lane, arrived_s, is_gone=self._is_gone)
        return self._ticket.outcome

    def after(self, receive: Receive) -> Receive:
        """Take the turn when the body is complete; the deadline counts from then.

        What is returned raises `OverloadedError` where the request is refused.
        """

        async def receive_then_wait() -> Message:
            message = await receive()
            is_last = message["type"] == "http.request" and not message.get("more_body", False)
            if is_last and self._ticket is None:
                outcome = await self.take(time.monotonic())
                if outcome is Outcome.REFUSED:
                    raise OverloadedError
                if outcome is Outcome.GONE:
                    return {"type": "http.disconnect"}
            return message

        return receive_then_wait

    def spend(self, seconds: float) -> None:
        """Add time of this thread that the request took."""
        self._spent_s += seconds

    def end(self) -> None:
        """Let the next take its turn; again, it does nothing."""
        if self._ticket is not None and not self._is_over:
            self._is_over = True
            self._admission.leave(self._ticket, spent_s=self._spent_s, n_answers=self.n_answers)


def turn_of(request: Request) -> Turn:
    """Return the turn of a request that was admitted."""
    turn = request.scope["state"][TURN]
    assert isinstance(turn, Turn)  # noqa: S101 - the middleware puts nothing else there
    return turn


@coroutine
def metered(work: Awaitable[None], spend: Callable[[float], None]) -> Generator[Any, None, None]:
    """Await work, and report the time of this thread that each of its steps takes.

    What others do while the work waits is not in the seconds that `spend` takes.
    """
    steps = work.__await__()
    error: BaseException | None = None
    while True:
        started = time.monotonic()
        try:
            awaited = steps.send(None) if error is None else steps.throw(error)
        except StopIteration:
            return
        finally:
            spend(time.monotonic() - started)
        try:
            yield awaited
        except BaseException as exc:  # noqa: BLE001 - a cancellation too is the work's to handle
            error = exc
        else:
            error = None
