"""Slates: lists of sales shown to customers, with the clicks and purchases credited to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.dataset.event_columns import Labels
from models.dataset.events import EventTable
from models.dataset.guest_events import customers_of
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import CLICK, IMPRESSION
from models.ranker.objective import TrainingObjective
from training.examples.outcomes import is_outcome


@dataclass(frozen=True, eq=False)
class Slates:
    """Lists of sales with their outcomes, ordered by time; entries of a slate lie together.

    Attributes:
        customers: Customer code of each slate, shape ``(n,)``.
        sessions: Session code of each slate, -1 without one, shape ``(n,)``.
        exposures: Exposure code of each slate, -1 without one, shape ``(n,)``.
        now_us: Moment of each slate; events received before it are known, shape ``(n,)``.
        markets: Market code of each slate, -1 where unknown, shape ``(n,)``.
        devices: Device code of each slate, -1 where unknown, shape ``(n,)``.
        starts: First entry of each slate, and the end, shape ``(n + 1,)``.
        rows: Catalogue row of each entry, shape ``(m,)``.
        positions: Position of each entry from 1, 0 where it is not on record, shape ``(m,)``.
        prices: Price shown with each entry, NaN where it is not on record, shape ``(m,)``.
        clicked: Whether the customer clicked it in this slate, shape ``(m,)``.
        bought: Whether it had the outcome of the objective, credited to this slate: the customer
            bought it, or clicked it with the objective `click`, shape ``(m,)``.
        weights: How many examples each entry stands for, shape ``(m,)``.
    """

    customers: NDArray[np.int64]
    sessions: NDArray[np.int64]
    exposures: NDArray[np.int64]
    now_us: NDArray[np.int64]
    markets: NDArray[np.int64]
    devices: NDArray[np.int64]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    positions: NDArray[np.int64]
    prices: NDArray[np.float64]
    clicked: NDArray[np.bool_]
    bought: NDArray[np.bool_]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of slates."""
        return len(self.now_us)

    def entries(self, slate: int) -> slice:
        """Return the entries of a slate."""
        return slice(int(self.starts[slate]), int(self.starts[slate + 1]))

    def entries_of(self, chosen: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the entries of some of the slates, in the order given."""
        sizes = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        first = np.repeat(self.starts[chosen] - starts[:-1], sizes)
        return np.arange(int(starts[-1])) + first

    def known_positions(self, slate: int) -> NDArray[np.int64] | None:
        """Return the positions of a slate's entries, None where one is not on record."""
        positions = self.positions[self.entries(slate)]
        return positions if positions.all() else None

    def select(self, chosen: NDArray[np.intp]) -> Self:
        """Return some of the slates, in the order given."""
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[chosen])])
        entries = self.entries_of(chosen)
        return type(self)(
            customers=self.customers[chosen],
            sessions=self.sessions[chosen],
            exposures=self.exposures[chosen],
            now_us=self.now_us[chosen],
            markets=self.markets[chosen],
            devices=self.devices[chosen],
            starts=starts,
            rows=self.rows[entries],
            positions=self.positions[entries],
            prices=self.prices[entries],
            clicked=self.clicked[entries],
            bought=self.bought[entries],
            weights=self.weights[entries],
        )


def has_impressions(events: EventTable) -> bool:
    """Return whether any impression was logged."""
    return bool(np.any(events.kinds == IMPRESSION))


def shown_slates(
    events: EventTable,
    catalogue: Catalogue,
    *,
    outcome_us: int,
    objective: TrainingObjective = TrainingObjective.PURCHASE,
) -> Slates:
    """Group impressions into slates.

    A slate is one exposure to one customer; without an exposure id, the impressions of a
    customer at one moment. A click or purchase is credited once: to the last impression of that
    sale to that customer, if it was shown at most ``outcome_us`` before. A fully
    refunded purchase is none.

    Impressions of sales that the catalogue does not know are left out. Slates are ordered by time.
    """
    events = net_of_refunds(events)
    rows = catalogue.rows_for(events.sale_keys)
    shown = np.flatnonzero((events.kinds == IMPRESSION) & (rows >= 0))
    group = _groups(events, shown)
    # A slate's moment is that of its first impression; the others were scrolled to later.
    order = np.lexsort((events.positions[shown], events.at_us[shown], group))
    shown, group = shown[order], group[order]
    starts = np.concatenate([np.flatnonzero(np.diff(group, prepend=-1)), [len(group)]])
    first = shown[starts[:-1]]
    slates = Slates(
        customers=events.customers.codes[first],
        sessions=events.sessions.codes[first],
        exposures=events.exposures.codes[first],
        now_us=events.at_us[first],
        markets=events.markets.codes[first],
        devices=events.devices.codes[first],
        starts=starts,
        rows=rows[shown],
        positions=events.positions[shown].astype(np.int64),
        prices=events.prices[shown],
        clicked=_credited(events, shown, events.kinds == CLICK, outcome_us=outcome_us),
        bought=_credited(events, shown, is_outcome(events, objective), outcome_us=outcome_us),
        weights=np.ones(len(shown)),
    )
    return slates.select(np.argsort(slates.now_us, kind="stable"))


def settled(slates: Slates, until_us: int, *, outcome_us: int) -> Slates:
    """Return the slates with a final outcome at the end of the data: nothing later is credited."""
    return slates.select(np.flatnonzero(slates.now_us <= until_us - outcome_us))


def _groups(events: EventTable, shown: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the number of the slate of every impression, shape ``(n,)``."""
    exposures = events.exposures.codes[shown]
    customers, at_us = events.customers.codes[shown], events.at_us[shown]
    # Callers that number exposures per page give one id to several customers: several slates.
    keys = np.stack([exposures, customers, np.where(exposures < 0, at_us, 0)])
    order = np.lexsort(keys)
    fresh = np.any(np.diff(keys[:, order], axis=1, prepend=-2), axis=0)
    group = np.empty(len(shown), dtype=np.int64)
    group[order] = np.cumsum(fresh) - 1
    return group


def credited_pairs(
    events: EventTable, *, shown: NDArray[np.intp], outcomes: NDArray[np.intp], outcome_us: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Credit each outcome to the last impression of its sale to its customer, or to their guest.

    Args:
        events: The log.
        shown: Its impressions, as indices, shape ``(n,)``.
        outcomes: Clicks or purchases, as indices, shape ``(m,)``.
        outcome_us: Longest time from an impression to its outcome, microseconds.

    Returns:
        Places in ``shown``, and the outcomes that are credited to these, as indices.
    """
    both, customers = np.concatenate([shown, outcomes]), customers_of(events)
    is_outcome = np.repeat([False, True], [len(shown), len(outcomes)])
    order = np.lexsort((is_outcome, events.at_us[both], events.sale_keys[both], customers[both]))
    # Index of the last impression up to each event, in sorted order.
    impression = np.where(is_outcome[order], -1, np.arange(len(both)))
    last = np.maximum.accumulate(impression)
    happened = np.flatnonzero(is_outcome[order] & (last >= 0))
    outcome, seen = both[order[happened]], both[order[last[happened]]]
    # An event received before the impression is known to its features: crediting it would leak.
    credited = (
        (customers[outcome] == customers[seen])
        & (events.sale_keys[outcome] == events.sale_keys[seen])
        & (events.at_us[outcome] - events.at_us[seen] <= outcome_us)
        & (events.received_us[outcome] >= events.at_us[seen])
    )
    return order[last[happened[credited]]], outcome[credited]


def _credited(
    events: EventTable, shown: NDArray[np.intp], is_credited: NDArray[np.bool_], *, outcome_us: int
) -> NDArray[np.bool_]:
    outcomes = np.flatnonzero(is_credited)
    marked = np.zeros(len(shown), dtype=np.bool_)
    places, _ = credited_pairs(events, shown=shown, outcomes=outcomes, outcome_us=outcome_us)
    marked[places] = True
    return marked


def label_of(labels: Labels, code: int) -> str | None:
    """Return the text of a code, None for -1."""
    return None if code < 0 else str(labels.values[code])


def texts_of(labels: Labels, codes: NDArray[np.int64]) -> Iterator[str | None]:
    """Yield the text of every code, None for -1."""
    texts: list[str | None] = [*labels.values.to_list(), None]
    chosen: list[int] = codes.tolist()
    return (texts[code] for code in chosen)
