"""Small shops by three laws, none of them that of the simulated worlds.

`tickets` logs views and purchases, and genre and city decide. `grocer` logs order lines alone:
seven of ten are of a customer's eight favourites, the others by popularity. `outlet` logs lists in
random order with clicks, and the quality of a sale decides. Their numbers are chosen.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

N_JUDGED: Final = 150
"""Purchases after the split."""

SETTLED: Final = timedelta(days=1, minutes=5)
"""From the last purchase that is learned from to the split: lists before it are settled then."""

_START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_GENRES: Final = ("rock", "jazz", "classic", "hiphop", "folk", "metal")
_CITIES: Final = ("Berlin", "Wien", "Basel", "Graz")

Row = dict[str, Any]


@dataclass(slots=True)
class ShopLog:
    """Sales, customers and events of a shop.

    Attributes:
        n_learned: Purchases before the split.
        sales: Rows of ``sales``; a column ``hidden`` is not written.
        customers: Rows of ``customers``, none where nothing is known of them.
        events: Rows of ``events``.
        until: The split, `SETTLED` after purchase number ``n_learned``.
    """

    n_learned: int
    sales: list[Row] = field(default_factory=list[Row])
    customers: list[Row] = field(default_factory=list[Row])
    events: list[Row] = field(default_factory=list[Row])
    until: datetime = _NEVER
    n_bought: int = 0

    def add(self, kind: str, at: datetime, customer: str, sale: str, **columns: object) -> None:
        """Add an event."""
        row = {"type": kind, "at": at, "customer_id": customer, "sale_id": sale, **columns}
        self.events.append({"event_id": str(len(self.events)), **row})
        self.n_bought += kind == "purchase"
        if kind == "purchase" and self.n_bought == self.n_learned:
            self.until = at + SETTLED

    @property
    def is_complete(self) -> bool:
        """Whether `N_JUDGED` more purchases are there, and a day to credit them in."""
        after = self.n_bought - self.n_learned >= N_JUDGED
        return after and self.events[-1]["at"] > self.until + timedelta(days=1)

    def open_at(self, moment: datetime) -> list[Row]:
        """Return the sales that are open at a moment."""
        return [one for one in self.sales if one["opens_at"] <= moment < one["closes_at"]]

    def write(self, folder: Path) -> None:
        """Write the files of a dataset."""
        folder.mkdir(parents=True, exist_ok=True)
        sales = pl.DataFrame(
            [{k: v for k, v in one.items() if k != "hidden"} for one in self.sales]
        )
        sales.write_parquet(folder / "sales.parquet")
        events = pl.DataFrame(self.events, infer_schema_length=None).sort("at")
        events.write_parquet(folder / "events.parquet")
        if self.customers:
            pl.DataFrame(self.customers).write_parquet(folder / "customers.parquet")


def tickets(n_learned: int, rng: np.random.Generator) -> ShopLog:
    """Concerts, of which a customer views some of their genre and city, and buys few."""
    log, moment, opening = ShopLog(n_learned), _START, _START - timedelta(days=30)
    genre = [_GENRES[int(one)] for one in rng.integers(len(_GENRES), size=400)]
    city = [_CITIES[int(one)] for one in rng.integers(len(_CITIES), size=400)]
    activity = rng.exponential(size=400) + 0.1
    log.customers = [{"customer_id": f"c{n}", "city": city[n]} for n in range(400)]
    while not log.is_complete:
        moment += timedelta(days=float(rng.exponential(1 / 30)))
        while opening <= moment:
            log.sales.append(_concert(len(log.sales), opening, rng))
            opening += timedelta(days=float(rng.exponential(0.6)))
        who, offered = int(rng.choice(400, p=activity / activity.sum())), log.open_at(moment)
        fits = [(one["category"] == genre[who], one["city"] == city[who]) for one in offered]
        liking = [
            1.8 * by_genre + 1.2 * by_city + one["hidden"] - 0.3 * math.log(one["price"])
            for one, (by_genre, by_city) in zip(offered, fits, strict=True)
        ]
        n_viewed = min(int(rng.integers(1, 5)), len(offered))
        for chosen in map(
            int, rng.choice(len(offered), n_viewed, replace=False, p=_softmax(liking))
        ):
            sale_id = offered[chosen]["sale_id"]
            log.add("view", moment, f"c{who}", sale_id)
            moment += timedelta(minutes=float(rng.uniform(1, 5)))
            if rng.random() < 0.03 + 0.08 * sum(fits[chosen]):
                log.add("purchase", moment, f"c{who}", sale_id, quantity=int(rng.integers(1, 4)))
                moment += timedelta(minutes=1)
    return log


def _concert(number: int, opening: datetime, rng: np.random.Generator) -> Row:
    return {
        "sale_id": f"k{number}",
        "title": f"{_GENRES[number % 6]} night {rng.integers(9)}",
        "category": _GENRES[int(rng.integers(len(_GENRES)))],
        "city": _CITIES[int(rng.integers(len(_CITIES)))],
        "price": round(float(rng.lognormal(3.6, 0.5)), 2),
        "opens_at": opening,
        "closes_at": opening + timedelta(days=float(rng.uniform(15, 45))),
        "hidden": float(rng.normal(0, 0.6)),
    }


def grocer(n_learned: int, rng: np.random.Generator) -> ShopLog:
    """Articles that customers order again every few days."""
    log, n_articles, n_customers = ShopLog(n_learned), 150, max(15, n_learned // 3)
    share = 1 / np.arange(1, n_articles + 1)
    share /= share.sum()
    favourites = [rng.choice(n_articles, 8, replace=False, p=share) for _ in range(n_customers)]
    interval = rng.uniform(3, 9, n_customers)
    due = [_START + timedelta(days=float(rng.uniform(0, float(days)))) for days in interval]
    log.sales = [
        {
            "sale_id": f"a{number}",
            "title": f"article {number}",
            "category": f"g{number % 9}",
            "price": round(float(rng.lognormal(1, 0.6)), 2),
            "opens_at": _START - timedelta(days=1),
            "closes_at": _START + timedelta(days=3_000),
        }
        for number in range(n_articles)
    ]
    while not log.is_complete:
        who = min(range(n_customers), key=lambda one: due[one])
        moment = due[who]
        due[who] += timedelta(days=float(interval[who] * rng.uniform(0.7, 1.3)))
        for line in range(int(rng.integers(1, 5))):
            again = rng.random() < 0.7
            article = rng.choice(favourites[who]) if again else rng.choice(n_articles, p=share)
            at = moment + timedelta(seconds=line)
            log.add("purchase", at, f"c{who}", f"a{article}", quantity=int(rng.integers(1, 6)))
    return log


def outlet(n_learned: int, rng: np.random.Generator) -> ShopLog:
    """Things of differing quality, in lists of twelve in random order."""
    log, moment, opening, n_lists = ShopLog(n_learned), _START, _START - timedelta(days=8), 0
    while not log.is_complete:
        moment += timedelta(days=float(rng.exponential(1 / 60)))
        while opening <= moment:
            log.sales.append(_thing(len(log.sales), opening, rng))
            opening += timedelta(days=float(rng.exponential(0.2)))
        offered, who = log.open_at(moment), f"v{int(rng.pareto(1.2) * 20)}"
        n_lists += 1
        for position, chosen in enumerate(map(int, rng.permutation(len(offered))[:12]), start=1):
            sale_id, columns = offered[chosen]["sale_id"], {"exposure_id": f"x{n_lists}"}
            log.add("impression", moment, who, sale_id, position=position, **columns)
            appeal = 1 / (1 + math.exp(1.5 - offered[chosen]["hidden"])) / math.sqrt(position)
            at = moment + timedelta(seconds=30 + position)
            if rng.random() < appeal:
                log.add("click", at, who, sale_id, position=position, **columns)
                if rng.random() < 0.12:
                    log.add("purchase", at + timedelta(minutes=1), who, sale_id)
    return log


def _thing(number: int, opening: datetime, rng: np.random.Generator) -> Row:
    return {
        "sale_id": f"o{number}",
        "title": f"thing {number}",
        "category": f"b{rng.integers(12)}",
        "price": round(float(rng.lognormal(3, 0.7)), 2),
        "opens_at": opening,
        "closes_at": opening + timedelta(days=10),
        "hidden": float(rng.normal(0, 1.1)),
    }


def _softmax(liking: list[float]) -> NDArray[np.float64]:
    odds = np.exp(np.array(liking) - max(liking))
    return odds / odds.sum()


SHOPS: Final[Mapping[str, Callable[[int, np.random.Generator], ShopLog]]] = {
    "tickets": tickets,
    "grocer": grocer,
    "outlet": outlet,
}
"""Shops by name, each of a number of purchases to learn from."""
