"""Admission control and load shedding of a worker.

A worker computes on one thread. Where more requests arrive than it can answer in full, they wait
here, before the store is read: rankings in the order of their arrival, under overload newest
first, since the newest has most of its deadline left. A ranking that cannot end in time any more is
shed: it is answered by popularity, or refused where too many others are.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.observability import AdmissionMetrics

SMOOTHING: Final = 0.1
"""Weight of the latest ranking in the estimate of what one costs."""

LEAST_COST_S: Final = 0.0005
"""No ranking is cheaper; the estimate begins here."""

EVENTS_SHARE: Final = 0.12
SHED_SHARE: Final = 0.1
"""Shares of the time that are not the rankings' while some of them wait.

A batch of events costs half of a ranking and a site sends four times as many rankings: an eighth.
A shed answer costs a fifth, a refusal a tenth, and callers that are refused come again at once.
"""

RANKINGS_SHARE: Final = 1.0 - EVENTS_SHARE - SHED_SHARE
"""The share that rankings can count on. Without it a quarter of those that were taken up
were too late for their model (60 of 256 a second, 512 callers, 2026-11-29)."""

UNSEEN: Final = 0.2
"""What a request takes outside its turn (parsing, authentication, writing), in costs of a
ranking: 0.4 to 0.57 ms of the thread beside 2.3 of a ranking (8 to 128 callers, 2026-11-29). Where
it counted as half of that, refusals took a fifth of the thread, and batches of events a quarter."""

MAX_CREDIT_S: Final = 0.01
"""Unused time that a lane keeps: four rankings that a burst of shed answers may delay."""

MAX_DEBT_S: Final = 1.0
"""A pause of the machine during one request keeps the rest of its lane for no longer than this."""

TIMER_S: Final = 0.001
"""Least delay of a timer: the resolution of the loop's clock."""


class Lane(StrEnum):
    """Requests that wait for one another."""

    RANKINGS = "rankings"
    EVENTS = "events"
    SHED = "shed"


class Outcome(StrEnum):
    """Outcome of admission: how a request is answered."""

    FULL = "full"
    POPULARITY = "popularity"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class AdmissionBounds:
    """Limits of one worker.

    Attributes:
        deadline_s: Seconds from the arrival of a ranking to the end of its answer.
        max_in_flight: Requests of a lane that are worked on at once.
        max_waiting: Requests of a lane that wait; further ones are shed, or refused.
    """

    deadline_s: float
    max_in_flight: int
    max_waiting: int


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in its lane.

    Attributes:
        lane: Where it came in.
        ends_s: When its answer is due, by the clock of its `Admission`.
        is_gone: Whether its caller has left.
        is_shed: Whether it waits, or was taken up, as one that is cut short.
        outcome: How it is answered; None while it waits.
    """

    lane: Lane
    ends_s: float
    is_gone: Callable[[], bool]
    is_shed: bool = False
    outcome: Outcome | None = None
    _turn: asyncio.Future[None] | None = None

    async def turn(self) -> None:
        """Return when the request is taken up."""
        if self.outcome is None:
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn

    def call(self, outcome: Outcome) -> None:
        """Have the request taken up."""
        self.outcome = outcome
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


@dataclass(slots=True)
class _Queue:
    """The requests of one lane, oldest first."""

    share: float
    waiting: deque[Ticket] = field(default_factory=deque[Ticket])
    n_in_flight: int = 0
    credit_s: float = MAX_CREDIT_S
    published: tuple[int, int] = (-1, -1)  # on the gauges: waiting and in flight

    def take_up(self, ticket: Ticket, outcome: Outcome) -> None:
        """Have a request of the lane worked on."""
        self.n_in_flight += 1
        ticket.call(outcome)

    def earn(self, seconds: float) -> None:
        """Add the lane's share of the time that passed."""
        self.credit_s = min(MAX_CREDIT_S, self.credit_s + self.share * seconds)

    def spend(self, seconds: float) -> None:
        """Take from the lane's time what a request of it took."""
        self.credit_s = max(self.credit_s - seconds, -self.share * MAX_DEBT_S)


class Admission:
    """Decides for all requests of one worker that rank or post events."""

    def __init__(
        self,
        bounds: AdmissionBounds,
        *,
        metrics: AdmissionMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing in flight."""
        self._bounds = bounds
        self._metrics = metrics
        self._clock = clock
        self._rankings = _Queue(share=1.0)
        self._events = _Queue(share=EVENTS_SHARE)
        self._shed = _Queue(share=SHED_SHARE)
        self._queues = {
            Lane.RANKINGS: self._rankings,
            Lane.EVENTS: self._events,
            Lane.SHED: self._shed,
        }
        self._gauges = tuple(
            (queue, metrics.waiting.labels(lane), metrics.in_flight.labels(lane))
            for lane, queue in self._queues.items()
        )
        self._cost_s = LEAST_COST_S
        self._now_s = clock()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, lane: Lane, arrived_s: float, *, is_gone: Callable[[], bool]) -> Ticket:
        """Wait for the turn of a request.

        Args:
            lane: ``RANKINGS`` or ``EVENTS``.
            arrived_s: When the request arrived.
            is_gone: Whether its caller has left; then it is not worked on.

        Returns:
            The ticket with its outcome, to be given back by `leave`.
        """
        ticket = Ticket(lane, arrived_s + self._bounds.deadline_s, is_gone)
        if lane is Lane.RANKINGS and self._is_late(ticket, self._clock()):
            self._cut_short(ticket)
        else:
            self._queues[lane].waiting.append(ticket)
        self._dispatch()
        try:
            await ticket.turn()
        except asyncio.CancelledError:
            if ticket.outcome is None:
                self._queue_of(ticket).waiting.remove(ticket)
            else:
                self.leave(ticket, spent_s=0.0)
            raise
        return ticket

    def leave(self, ticket: Ticket, *, spent_s: float, n_answers: int = 1) -> None:
        """End a request and take up the next.

        Args:
            ticket: From `enter`.
            spent_s: Time of this thread that it took.
            n_answers: Rankings that it asked for.
        """
        if ticket.outcome is Outcome.GONE:
            return
        queue = self._queue_of(ticket)
        queue.n_in_flight -= 1
        queue.spend(spent_s + UNSEEN * self._cost_s)
        if queue is self._rankings:
            cost_s = self._cost_s + SMOOTHING * (spent_s / n_answers - self._cost_s)
            # A pause of the machine is no ranking, and all requests are charged by this estimate.
            self._cost_s = max(LEAST_COST_S, min(cost_s, self._bounds.deadline_s / 2))
        self._dispatch()

    def _queue_of(self, ticket: Ticket) -> _Queue:
        return self._shed if ticket.is_shed else self._queues[ticket.lane]

    def _dispatch(self) -> None:
        now_s = self._clock()
        passed_s, self._now_s = now_s - self._now_s, now_s
        rankings = self._rankings
        while rankings.waiting and self._is_late(rankings.waiting[0], now_s):
            self._cut_short(rankings.waiting.popleft())
        while rankings.waiting and rankings.n_in_flight < self._n_places():
            is_overloaded = self._shed.waiting or self._shed.n_in_flight
            take = rankings.waiting.pop if is_overloaded else rankings.waiting.popleft
            self._begin(rankings, take())
        self._shed_excess()
        for queue in (self._events, self._shed):
            queue.earn(passed_s)
            while queue.waiting and (queue.waiting[0].is_gone() or self._has_turn(queue)):
                self._begin(queue, queue.waiting.popleft())
        self._dispatch_later()
        self._publish()

    def _publish(self) -> None:
        """Set the gauges that changed: two of six, as a rule."""
        for queue, waiting, in_flight in self._gauges:
            now = len(queue.waiting), queue.n_in_flight
            n_waiting, n_in_flight = queue.published
            if now[0] != n_waiting:
                waiting.set(now[0])
            if now[1] != n_in_flight:
                in_flight.set(now[1])
            queue.published = now

    def _begin(self, queue: _Queue, ticket: Ticket) -> None:
        if ticket.is_gone():
            self._metrics.shed.labels(ticket.lane, Outcome.GONE).inc()
            ticket.call(Outcome.GONE)
            return
        outcome = Outcome.FULL
        if ticket.is_shed:
            is_crowded = len(self._shed.waiting) >= self._bounds.max_waiting
            is_refused = is_crowded or ticket.lane is Lane.EVENTS
            outcome = Outcome.REFUSED if is_refused else Outcome.POPULARITY
            self._metrics.shed.labels(ticket.lane, outcome).inc()
        queue.take_up(ticket, outcome)

    def _dispatch_later(self) -> None:
        """Go on when a lane has time again, even if no ranking ends until then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        debts_s = [
            -queue.credit_s / queue.share
            for queue in (self._events, self._shed)
            if queue.waiting and queue.n_in_flight < self._bounds.max_in_flight
        ]
        if debts_s:
            delay_s = max(min(debts_s), TIMER_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._dispatch)

    def _n_places(self) -> int:
        """Return how many rankings may be in flight so that the last takes half of its time."""
        in_time = int(self._bounds.deadline_s / 2 / self._pace_s)
        return max(1, min(self._bounds.max_in_flight, in_time))

    def _has_turn(self, queue: _Queue) -> bool:
        """Whether a lane beside the rankings may go on: in its share of time, or in idle time.

        For shed requests no time is idle while a ranking is in flight: their callers come again
        at once, and would take all of it.
        """
        is_shed = queue is self._shed
        if not self._rankings.waiting and not (is_shed and self._rankings.n_in_flight):
            queue.credit_s = max(queue.credit_s, 0.0)
        return queue.n_in_flight < self._bounds.max_in_flight and queue.credit_s >= 0.0

    def _is_late(self, ticket: Ticket, now_s: float) -> bool:
        """Whether a ranking would end too late if it were taken up now."""
        n_in_flight = min(self._rankings.n_in_flight + 1, self._n_places())
        return now_s + self._pace_s * n_in_flight > ticket.ends_s

    @property
    def _pace_s(self) -> float:
        """Seconds between the ends of two rankings, while the others have their share.

        However slow the machine, two are in flight: while one alone was, the next were late when
        it ended, and shed answers took the time that was free until a fresh request came.
        """
        pace_s = self._cost_s * (1.0 + UNSEEN) / RANKINGS_SHARE
        return min(pace_s, self._bounds.deadline_s / 4)

    def _shed_excess(self) -> None:
        """Shed the oldest rankings beyond those that can end in time, and the newest events."""
        in_time = int(self._bounds.deadline_s / self._pace_s)
        while len(self._rankings.waiting) > min(self._bounds.max_waiting, in_time):
            self._cut_short(self._rankings.waiting.popleft())
        while len(self._events.waiting) > self._bounds.max_waiting:
            self._cut_short(self._events.waiting.pop())

    def _cut_short(self, ticket: Ticket) -> None:
        ticket.is_shed = True
        self._shed.waiting.append(ticket)
