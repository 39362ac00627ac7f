"""Profile of a dataset: what it holds, and what each recommender can use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import build_catalogue
from models.dataset import Dataset, EventTable, FaultCode
from models.dataset.refunded_events import NEVER
from models.domain.event import KIND, KINDS, TOUCHES, EventType, from_us
from models.domain.units import DAY_US
from models.pictures.topics import Topics
from models.ranker.objective import TrainingObjective
from training.configuration import RunConfig
from training.examples.credit import credited_share
from training.examples.outcomes import OUTCOMES, objective_for
from training.recommenders.bestsellers import n_outlasting
from training.recommenders.buy_again import BoughtPairs
from training.recommenders.collaborative import MIN_CUSTOMERS
from training.recommenders.interactions import Interactions
from training.recommenders.left_out import MIN_REPEATS, has_content
from training.recommenders.session import visit_steps

_NAMED: Final = 3  # unknown sales that are named; chosen, more do not fit a line

_TYPES: Final = {name: KIND[name] for name in EventType}


@dataclass(frozen=True, slots=True)
class Profile:
    """Profile of a dataset.

    Attributes:
        n_sales: Accepted sales.
        n_customers: Customers with an event of a known sale, or of none.
        events: Accepted events of known sales, and of none, by type.
        first: The first event; None without one.
        last: The last event.
        rates: Conversion rates by name, only those whose counts exist.
        of_sales: Share of sales with a text, a price, …
        of_events: Share of events with a session, of impressions with a position, …
        recommenders: Whether each recommender has data, and what it goes by.
        objective: What `train` learns from it by default.
        unknown_sales: Sales that events name and that the dataset lacks.
    """

    n_sales: int
    n_customers: int
    events: dict[str, int]
    first: datetime | None
    last: datetime | None
    rates: dict[str, float]
    of_sales: dict[str, float]
    of_events: dict[str, float]
    recommenders: dict[str, "Usable"]
    objective: TrainingObjective
    unknown_sales: "UnknownSales"

    @property
    def n_outcomes(self) -> int:
        """Events that are successes by the objective; see `training.examples.outcomes`."""
        return sum(self.events[KINDS[code].value] for code in OUTCOMES[self.objective])

    @property
    def days(self) -> float:
        """Days from the first event to the last."""
        if self.first is None or self.last is None:
            return 0.0
        return (self.last - self.first).total_seconds() * 1e6 / DAY_US


@dataclass(frozen=True, slots=True)
class Usable:
    """Whether a recommender has data, and what there is of it or is missing."""

    usable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownSales:
    """Sales that events name and that the dataset lacks.

    Attributes:
        n_sales: Their number.
        n_events: Events that name one; no model learns from them.
        most_named: Those with the most events, at most three.
    """

    n_sales: int
    n_events: int
    most_named: tuple[str, ...]


def profile_of(dataset: Dataset) -> Profile:
    """Return the profile of a dataset, of its events of known sales."""
    events = dataset.events
    known = _known(dataset)
    kinds = events.kinds[known]
    counts = {name.value: int(np.sum(kinds == code)) for name, code in _TYPES.items()}
    times = events.at_us[known]
    of_sales = _shares_of_sales(dataset)
    facts = DatasetFacts.collect(dataset, counts, of_sales)
    return Profile(
        n_sales=len(dataset.sales),
        n_customers=len(np.unique(events.customers.codes[known])),
        events=counts,
        first=from_us(int(times.min())) if len(times) else None,
        last=from_us(int(times.max())) if len(times) else None,
        rates=_rates(events, known, counts),
        of_sales=of_sales,
        of_events=_shares_of_events(events, known),
        recommenders={name: use(facts) for name, use in USES.items()},
        objective=objective_for(RunConfig(), events),
        unknown_sales=_unknown_sales(events, known),
    )


def _known(dataset: Dataset) -> NDArray[np.bool_]:
    ids = dataset.events.sale_ids
    of_sales = ids.values.is_in([sale.sale_id for sale in dataset.sales]).to_numpy()
    # The last is that of no sale, code -1: searches and opened e-mails are of a customer.
    return np.append(of_sales, values=True)[ids.codes]


def _unknown_sales(events: EventTable, known: NDArray[np.bool_]) -> UnknownSales:
    codes, n_events = np.unique(events.sale_ids.codes[~known], return_counts=True)
    most = codes[np.argsort(-n_events, kind="stable")[:_NAMED]]
    ids: list[str] = events.sale_ids.values.gather(most).to_list()
    return UnknownSales(len(codes), int(n_events.sum()), tuple(ids))


def _rates(
    events: EventTable, known: NDArray[np.bool_], counts: dict[str, int]
) -> dict[str, float]:
    shown, bought = counts["impression"], counts["purchase"]
    opened = counts["click"] + counts["view"]
    customers = events.customers.codes[known]
    buyers = len(np.unique(customers[events.kinds[known] == _TYPES[EventType.PURCHASE]]))
    pairs = {
        "clicks per impression": (counts["click"], shown),
        "purchases per impression": (bought, shown),
        "purchases per view or click": (bought, opened),
        "customers who bought": (buyers, len(np.unique(customers))),
    }
    # A rate of what is never recorded would read as if nothing were opened or bought.
    return {name: part / of for name, (part, of) in pairs.items() if part and of}


def _shares_of_sales(dataset: Dataset) -> dict[str, float]:
    sales = dataset.sales
    has: dict[str, Callable[[int], bool]] = {
        "a text": lambda row: bool(sales[row].title or sales[row].description),
        "a price": lambda row: sales[row].price is not None,
        "a picture": lambda row: sales[row].sale_id in dataset.images,
        "a category": lambda row: sales[row].category is not None,
        "a country": lambda row: sales[row].country is not None,
        "a destination": lambda row: sales[row].destination is not None,
        "a closing time": lambda row: sales[row].closes_at is not None,
        "attributes": lambda row: any(v is not None for v in sales[row].attributes.values()),
    }
    return {
        name: float(np.mean([test(row) for row in range(len(sales))])) if sales else 0.0
        for name, test in has.items()
    }


def _shares_of_events(events: EventTable, known: NDArray[np.bool_]) -> dict[str, float]:
    shown = known & (events.kinds == _TYPES[EventType.IMPRESSION])
    bought = known & (events.kinds == _TYPES[EventType.PURCHASE])
    paid = np.isfinite(events.prices) | np.isfinite(events.revenues)
    of = {
        "impressions with a position": (events.positions > 0, shown),
        "impressions with an exposure id": (events.exposures.codes >= 0, shown),
        "impressions with a propensity": (np.isfinite(events.propensities), shown),
        "purchases with a price or revenue": (paid, bought),
        "events with a session": (events.sessions.codes >= 0, known),
        "events with a market": (events.markets.codes >= 0, known),
        "events with a device": (events.devices.codes >= 0, known),
    }
    shares = {name: float(np.mean(has[rows])) for name, (has, rows) in of.items() if rows.any()}
    credited = credited_share(events.select(known), outcome_us=RunConfig().outcome_us)
    return (
        shares if credited is None else shares | {"purchases credited to an impression": credited}
    )


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What recommenders need to know of a dataset, as `training.recommenders.left_out` asks for.

    Refunded purchases, and events before a dislike of their sale, are no interest in it.

    Attributes:
        counts: Events by type.
        of_sales: See `Profile`.
        has_content: Whether sales have content but for pictures, which are not labelled here.
        n_interested: Customers with interest in a sale.
        n_returning: Customers with interest in two sales or more.
        n_steps: Events of a visit with interest in another sale than the one before.
        n_again: Purchases of a sale by a customer who had bought it on an earlier day.
        n_outlasting: Sales with events that were open for more than 14 days.
        n_attributes: Attributes of sales that can be learned from.
        n_of_customers: Attributes of customers that can be learned from.
        n_groups: Markets and devices.
    """

    counts: dict[str, int]
    of_sales: dict[str, float]
    has_content: bool
    n_interested: int
    n_returning: int
    n_steps: int
    n_again: int
    n_outlasting: int
    n_attributes: int
    n_of_customers: int
    n_groups: int

    @classmethod
    def collect(
        cls, dataset: Dataset, counts: dict[str, int], of_sales: dict[str, float]
    ) -> "DatasetFacts":
        """Collect them from a dataset."""
        events = dataset.events
        catalogue = build_catalogue(dataset.sales, {}, topics=Topics.none())
        interactions = Interactions.from_events(events, catalogue).before(NEVER)
        _, n_sales = np.unique(interactions.touched()[0], return_counts=True)
        steps, _ = visit_steps(interactions, np.empty((len(catalogue), 0)))
        noted = dataset.faults.with_codes(FaultCode.NOT_LEARNED)
        unused = {fault.column for fault in noted if fault.file.startswith("sales")}
        named = {name for sale in dataset.sales for name in sale.attributes}
        return cls(
            counts=counts,
            of_sales=of_sales,
            has_content=has_content(catalogue),
            n_interested=len(n_sales),
            n_returning=int(np.sum(n_sales > 1)),
            n_steps=len(steps),
            n_again=int(BoughtPairs.from_interactions(interactions).n_again.sum()),
            n_outlasting=n_outlasting(interactions),
            n_attributes=len(named - unused),
            n_of_customers=len(events.attributes.columns),
            n_groups=len(events.markets.values) + len(events.devices.values),
        )


def _popularity(facts: DatasetFacts) -> Usable:
    outcomes = {
        name: n for name, n in facts.counts.items() if n and KIND[EventType(name)] in TOUCHES
    }
    listed = ", ".join(f"{n:,} of {name}" for name, n in outcomes.items())
    return Usable(bool(outcomes), listed or "no event but impressions")


def _content(facts: DatasetFacts) -> Usable:
    names = ("category", "country", "destination", "price", "picture")
    shares = {name: facts.of_sales[f"a {name}"] for name in names}
    listed = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)
    usable = facts.has_content or shares["picture"] > 0
    return Usable(usable, listed or f"sales have no {', '.join(names[:-1])} or {names[-1]}")


def _images(facts: DatasetFacts) -> Usable:
    share = facts.of_sales["a picture"]
    return Usable(share > 0, f"pictures of {share:.0%} of sales" if share else "no picture")


def _taste(facts: DatasetFacts) -> Usable:
    if not (_content(facts).usable or facts.n_attributes):
        return Usable(usable=False, reason="sales have no content and no attribute")
    return _agreement(facts, f"{facts.n_attributes} attributes")


def _covisitation(facts: DatasetFacts) -> Usable:
    n = facts.n_returning
    return Usable(n > 0, f"{n:,} customers with 2 or more sales")


def _agreement(facts: DatasetFacts, content: str) -> Usable:
    # Whether the sales of a customer agree in their content is not known before a fit.
    found = _covisitation(facts)
    condition = "; if these agree, which `train` finds" if found.usable else ""
    return Usable(found.usable, f"{content}, {found.reason}{condition}")


def _collaborative(facts: DatasetFacts) -> Usable:
    n = facts.n_interested
    listed = f"{n:,} customers with events beyond impressions, {MIN_CUSTOMERS} are needed"
    return Usable(n >= MIN_CUSTOMERS, listed)


def _session(facts: DatasetFacts) -> Usable:
    collaborative = _collaborative(facts)
    steps = Usable(facts.n_steps > 0, f"{facts.n_steps:,} steps from sale to sale in a visit")
    return steps if collaborative.usable else collaborative


def _text(facts: DatasetFacts) -> Usable:
    share = facts.of_sales["a text"]
    if not share:
        return Usable(usable=False, reason="no title, no description")
    return _agreement(facts, f"texts of {share:.0%} of sales")


def _audience(facts: DatasetFacts) -> Usable:
    popularity = _popularity(facts)
    groups = f"{facts.n_groups} markets and devices" if facts.n_groups else "no market, no device"
    return Usable(popularity.usable, f"{groups}; amount of history")


def _buy_again(facts: DatasetFacts) -> Usable:
    listed = f"{facts.n_again:,} repeat purchases on another day, {MIN_REPEATS} are needed"
    return Usable(facts.n_again >= MIN_REPEATS, listed)


def _demographic(facts: DatasetFacts) -> Usable:
    n, taste = facts.n_of_customers, _taste(facts)
    return Usable(n > 0 and taste.usable, f"{n} columns of customers, {taste.reason}")


def _bestsellers(facts: DatasetFacts) -> Usable:
    n = facts.n_outlasting
    return Usable(n > 0, f"{n:,} sales with events were open for more than 14 days")


USES: Final[Mapping[str, Callable[[DatasetFacts], Usable]]] = {
    "popularity": _popularity,
    "content": _content,
    "images": _images,
    "taste": _taste,
    "collaborative": _collaborative,
    "text": _text,
    "covisitation": _covisitation,
    "session": _session,
    "audience": _audience,
    "buy_again": _buy_again,
    "demographic": _demographic,
    "bestsellers": _bestsellers,
}
"""How much each recommender has to go by; in the order of the registry."""
