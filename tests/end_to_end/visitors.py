"""Visitors of the simulated shop who ask a running service, and what each slate is worth."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import numpy as np
from numpy.typing import NDArray

from tests.clock import ClockedStore
from tests.end_to_end.service import Service
from training.simulator.behaviour import carts_seen, examination, react, reaction_delays, scrolled
from training.simulator.customers import Visits
from training.simulator.parameters import DAY_US, DEVICES, HOUR_US, MARKETS
from training.simulator.simulation import World
from training.simulator.tastes import Market

SIZE: Final = 10
MAX_POSTED: Final = 1_000
MEAN_QUANTITY: Final = 1.8
FIGURES: Final = ("conversion", "purchases", "revenue", "clicks_per_answer")

Answer = dict[str, Any]


class Caller:
    """A website: one connection to the service."""

    def __init__(self, service: Service) -> None:
        service.wait_until("/health/ready", status=200)
        self._connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=60)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def ask(self, path: str, **parameters: str) -> Answer:
        """GET something."""
        return self._answer("GET", f"{path}?{urlencode(parameters)}")

    def post(self, events: list[dict[str, object]]) -> None:
        """Send events, all of which must be new and accepted."""
        for first in range(0, len(events), MAX_POSTED):
            batch = events[first : first + MAX_POSTED]
            answer = self._answer("POST", "/v1/events", json.dumps({"events": batch}))
            assert answer["accepted"] == len(batch), answer

    def _answer(self, method: str, path: str, body: str | None = None) -> Answer:
        headers = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        content = reply.read()
        assert reply.status == 200, content
        return json.loads(content)


@dataclass(frozen=True)
class Worth:
    """What a slate is worth by the truth, before anything is drawn.

    Attributes:
        clicks: Expected number.
        purchases: The same.
        revenue: Expected, in euros.
        nothing: P(nothing is bought).
    """

    clicks: float
    purchases: float
    revenue: float
    nothing: float


@dataclass(frozen=True)
class Deed:
    """What a visitor did.

    Attributes:
        kind: Type of the event.
        sale: Row of the sale.
        position: Where it stood, from 1.
        at_us: When.
    """

    kind: str
    sale: int
    position: int
    at_us: int


@dataclass(frozen=True)
class Visit:
    """One visit of the experiment.

    Attributes:
        answer_id: Id of the answer.
        customer: Row of the customer.
        now_us: The moment of the answer.
        variant: The variant that was shown.
        worth: Expected values by variant: of the slate shown, and of the other variant's slate.
        deeds: What the customer did.
    """

    answer_id: str
    customer: int
    now_us: int
    variant: str
    worth: dict[str, Worth]
    deeds: list[Deed]


@dataclass
class Shop:
    """The visitors of a world, before a service whose store has its own clock.

    Attributes:
        world: Who they are and what they like.
        service: What they ask.
        store: Its clock is set to every hour.
        experiment: Whose two variants are compared.
        variants: Their names.
        rng: Source of what they do.
        done: The visits so far.
        markets: What each day offers, by its midnight.
    """

    world: World
    service: Caller
    store: ClockedStore
    experiment: str
    variants: tuple[str, str]
    rng: np.random.Generator
    done: list[Visit] = field(default_factory=list[Visit])
    markets: dict[int, Market] = field(default_factory=dict[int, Market])

    def run(self, visits: Visits) -> None:
        """Let visits happen, hour by hour; reactions are sent as the next hour begins."""
        waiting: list[dict[str, object]] = []
        hours = visits.at_us // HOUR_US
        for hour in range(int(hours.min()), int(hours.max()) + 2):
            rows = np.flatnonzero(hours == hour)
            if not waiting and not len(rows):
                continue
            self.store.advance(hour * HOUR_US)
            self.service.post(waiting)
            now: list[dict[str, object]] = []
            waiting = []
            for row in rows:
                seen, later = self._visit(int(row), visits, day_us=hour * HOUR_US)
                now += seen
                waiting += later
            self.service.post(now)

    def _visit(
        self, row: int, visits: Visits, *, day_us: int
    ) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        customer = int(visits.customer[row])
        asked = {
            "customer_id": f"c{customer:07d}",
            "session_id": f"two-weeks-{row}",
            "market": MARKETS[int(self.world.customers.market[customer])],
            "device": DEVICES[int(visits.device[row])],
            "limit": str(SIZE),
        }
        answer = self.service.ask("/v1/recommendations", **asked)
        now_us = self.store.now_us()
        (assigned,) = answer["assignments"]
        assert not assigned["forced"]
        assert answer["degraded"] is None
        shown = assigned["variant"]
        other = next(name for name in self.variants if name != shown)
        instead = self.service.ask(
            "/v1/recommendations", **asked, variant=f"{self.experiment}:{other}"
        )
        probabilities = {
            name: self._probabilities(customer, one, day_us=day_us)
            for name, one in [(shown, answer), (other, instead)]
        }
        worth = {name: self._worth(*one) for name, one in probabilities.items()}
        deeds = self._deeds(*probabilities[shown], now_us=now_us)
        visit = Visit(answer["recommendation_id"], customer, now_us, shown, worth, deeds)
        self.done.append(visit)
        return self._events(asked, visit)

    def _probabilities(
        self, customer: int, answer: Answer, *, day_us: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Return the rows of the sales shown, P(click | examined) and P(purchase | click)."""
        market = self._market(day_us // DAY_US * DAY_US)
        sales = np.array([int(item["sale_id"][1:]) for item in answer["items"]], dtype=np.int64)
        columns = np.searchsorted(market.rows, sales)
        assert np.array_equal(market.rows[columns], sales), "a sale that is not on sale was shown"
        state = int(self.world.customers.type[customer])
        return sales, market.click[state, columns], market.buy[state, columns]

    def _market(self, day_us: int) -> Market:
        if day_us not in self.markets:
            world = self.world
            self.markets[day_us] = world.features.market(
                world.parameters, world.tastes, day_us=day_us
            )
        return self.markets[day_us]

    def _examined(self, n_sales: int) -> NDArray[np.float64]:
        return examination(n_sales, self.world.parameters.examination)

    def _worth(
        self, sales: NDArray[np.int64], click: NDArray[np.float32], buy: NDArray[np.float32]
    ) -> Worth:
        """Sum over the depths that a customer may scroll to; docs/world.md has the choice model."""
        clicks = self._examined(len(sales)) * click
        buys = clicks * buy
        ends = scrolled(SIZE)
        reaches = ends[::-1].cumsum()[::-1][: len(sales)]
        none_until = np.append(np.cumprod(1.0 - buys), np.full(SIZE, np.prod(1.0 - buys)))[:SIZE]
        price = self.world.sales.price[sales]
        return Worth(
            clicks=float(reaches @ clicks),
            purchases=float(reaches @ buys),
            revenue=float(reaches @ (buys * price)) * MEAN_QUANTITY,
            nothing=float(ends @ none_until),
        )

    def _deeds(
        self,
        sales: NDArray[np.int64],
        click: NDArray[np.float32],
        buy: NDArray[np.float32],
        *,
        now_us: int,
    ) -> list[Deed]:
        """Draw the customer's reactions: they see the slate at once and finish within the hour."""
        shown = np.ones((1, len(sales)), dtype=np.bool_)
        examined = self._examined(len(sales))
        reactions = react(click[None], buy[None], shown=shown, examined=examined, rng=self.rng)
        room_us = self.world.sales.ends_us[sales] - now_us
        delays_us = reaction_delays(room_us, self.rng)
        happened = {
            "impression": (reactions.seen[0], np.zeros_like(room_us)),
            "click": (reactions.clicked[0], delays_us[0]),
            "cart": (carts_seen(reactions, self.rng)[0], delays_us[1]),
            "purchase": (reactions.bought[0], delays_us[2]),
        }
        return [
            Deed(kind, int(sales[rank]), int(rank) + 1, now_us + int(delay_us[rank]))
            for kind, (mask, delay_us) in happened.items()
            for rank in np.flatnonzero(mask)
        ]

    def _events(
        self, asked: dict[str, str], visit: Visit
    ) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        """Write impressions, and what came of them."""
        who = {name: asked[name] for name in ("customer_id", "session_id", "market", "device")}
        seen: list[dict[str, object]] = []
        later: list[dict[str, object]] = []
        for deed in visit.deeds:
            event: dict[str, object] = {
                **who,
                "event_id": f"{visit.answer_id}-{deed.kind}-{deed.position}",
                "type": deed.kind,
                "sale_id": f"s{deed.sale:06d}",
                "at": _iso(deed.at_us),
                "exposure_id": visit.answer_id,
                "position": deed.position,
            }
            if deed.kind == "purchase":
                event |= self._bought(deed.sale)
            (seen if deed.kind == "impression" else later).append(event)
        return seen, later

    def _bought(self, sale: int) -> dict[str, object]:
        price = float(self.world.sales.price[sale])
        quantity = 1 + int(self.rng.poisson(MEAN_QUANTITY - 1.0))
        return {"price": price, "quantity": quantity, "revenue": round(price * quantity, 2)}


def true_lift(
    visits: list[Visit], *, control: str, other: str, until_us: int, window_us: int
) -> dict[str, float]:
    """Return by how much more the other variant brings these customers, by the truth.

    As results count: from a customer's first visit on for a window, of those whose window is
    over. Every visit is valued by both slates, given what the customer had done until then.
    """
    first_us: dict[int, int] = {}
    sums = {name: dict.fromkeys(FIGURES, 0.0) for name in (control, other)}
    nothing: dict[tuple[str, int], float] = {}
    for visit in visits:
        since_us = visit.now_us - first_us.setdefault(visit.customer, visit.now_us)
        if since_us >= window_us or first_us[visit.customer] + window_us > until_us:
            continue
        for name, worth in visit.worth.items():
            # As many answers on both sides: the visits are the same.
            sums[name]["clicks_per_answer"] += worth.clicks
            sums[name]["purchases"] += worth.purchases
            sums[name]["revenue"] += worth.revenue
            key = (name, visit.customer)
            nothing[key] = nothing.get(key, 1.0) * worth.nothing
    for (name, _), none in nothing.items():
        sums[name]["conversion"] += 1.0 - none
    return {figure: sums[other][figure] / sums[control][figure] - 1.0 for figure in FIGURES}


def tally(visits: list[Visit], *, until_us: int, window_us: int) -> dict[tuple[str, str], int]:
    """Count what customers did in their windows, by variant and kind, as results should."""
    first_us: dict[int, int] = {}
    for visit in visits:
        first_us.setdefault(visit.customer, visit.now_us)
    return Counter(
        (visit.variant, deed.kind)
        for visit in visits
        if first_us[visit.customer] + window_us <= until_us
        for deed in visit.deeds
        if deed.at_us < first_us[visit.customer] + window_us
    )


def groups(visits: list[Visit], n_groups: int) -> Iterator[list[Visit]]:
    """Part the visits by customer."""
    for group in range(n_groups):
        yield [visit for visit in visits if visit.customer % n_groups == group]


def _iso(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us / 1_000_000, tz=UTC).isoformat()
