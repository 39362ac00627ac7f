"""Baselines of an evaluation: rules of one line, item-item cosine, and a plain LambdaRank."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable
from training.baselines.item_cosine import ItemCosine
from training.baselines.lambdarank import LambdaRank, RankedList, features_of
from training.baselines.log_state import LogState
from training.configuration import RunConfig
from training.examples.outcomes import objective_for
from training.examples.slates import settled, shown_slates

RECENT_RATE: Final = "recent_rate"
BOUGHT_BEFORE: Final = "bought_before"
LAST_TOUCHED: Final = "last_touched"
NEWEST: Final = "newest"
MOST_BOUGHT: Final = "most_bought"
ITEM_COSINE: Final = "item_cosine"
LAMBDARANK: Final = "lambdarank"
BASELINES: Final = (
    RECENT_RATE,
    MOST_BOUGHT,
    NEWEST,
    BOUGHT_BEFORE,
    LAST_TOUCHED,
    ITEM_COSINE,
    LAMBDARANK,
)

# Bounds the time of the LambdaRank to some seconds; chosen.
MAX_LISTS: Final = 5_000


@dataclass(frozen=True, eq=False)
class FittedBaselines:
    """What the baselines of an evaluation learned from the events before a moment.

    Attributes:
        cosine: Cosines between sales.
        ranker: A LambdaRank; None where too few shown lists have an outcome.
        caller_orders: Whether the positions of lists are the ranking of a caller.
    """

    cosine: ItemCosine
    ranker: LambdaRank | None
    caller_orders: bool


def fit_baselines(
    events: EventTable,
    catalogue: Catalogue,
    *,
    until_us: int,
    config: RunConfig,
    with_ranker: bool = False,
) -> FittedBaselines:
    """Fit cosine and LambdaRank on what was received before a moment.

    Args:
        events: The log.
        catalogue: Its sales.
        until_us: The moment, microseconds since the epoch.
        config: How purchases are credited, and whether positions are the ranking of a caller.
        with_ranker: Whether the LambdaRank is fitted, which takes as long as a small ranker.
    """
    cosine = ItemCosine.fit(events, catalogue, until_us=until_us)
    if not with_ranker:
        return FittedBaselines(cosine, None, config.caller_orders)
    # Of the whole log, labels would know purchases and refunds that arrive later.
    known = events.select(events.received_us < until_us)
    objective = objective_for(config, known)
    lists = shown_slates(known, catalogue, outcome_us=config.outcome_us, objective=objective)
    lists = settled(lists, until_us, outcome_us=config.outcome_us)
    # Lists without an outcome have no order to learn.
    sums = np.concatenate([[0], np.cumsum(lists.clicked | lists.bought)])
    chosen = np.flatnonzero(np.diff(sums[lists.starts]))[-MAX_LISTS:]
    state, found = LogState(events, catalogue), list[RankedList]()
    for one in chosen.tolist():
        entries = lists.entries(one)
        facts = state.facts(
            int(lists.customers[one]), lists.rows[entries], now_us=int(lists.now_us[one]) - 1
        )
        positions = lists.known_positions(one) if config.caller_orders else None
        labels = np.where(lists.bought[entries], 2, lists.clicked[entries].astype(np.int64))
        found.append(RankedList(features_of(facts, positions), labels))
    return FittedBaselines(cosine, LambdaRank.fit(found), config.caller_orders)


class Baselines:
    """Orders of candidates by every baseline, at moments in the order of time."""

    def __init__(
        self, fitted: FittedBaselines, events: EventTable, *, catalogue: Catalogue
    ) -> None:
        """Stand before the first event of a log."""
        self._fitted = fitted
        self._state = LogState(events, catalogue)

    def orders(
        self,
        customer: int,
        rows: NDArray[np.int64],
        *,
        now_us: int,
        positions: NDArray[np.int64] | None,
    ) -> dict[str, NDArray[np.float64]]:
        """Return order values by baseline, the highest first, each of shape ``(n_sales,)``.

        Args:
            customer: Code of the customer.
            rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
            now_us: The moment, no earlier than that of the last call.
            positions: Place of each in the list that was shown, None where it is not known.
        """
        facts = self._state.facts(customer, rows, now_us=now_us)
        latest = np.nan_to_num(-facts.touched_age_h, nan=-np.inf)
        rest: NDArray[np.float64] = facts.popularity
        if positions is not None:
            # A list that was shown stays as it is, but for the sale touched last.
            latest = np.where(latest == latest.max(), latest, -np.inf)
            rest = -positions.astype(np.float64)
        own = self._state.touched_rows(customer, now_us)
        orders = {
            RECENT_RATE: facts.recent_rate,
            MOST_BOUGHT: facts.popularity,
            NEWEST: -facts.open_age_h,
            BOUGHT_BEFORE: _then(facts.own_purchases, facts.popularity),
            LAST_TOUCHED: _then(latest, rest),
            ITEM_COSINE: _then(self._fitted.cosine.scores(own, rows), facts.popularity),
        }
        if self._fitted.ranker is not None:
            features = features_of(facts, positions if self._fitted.caller_orders else None)
            orders[LAMBDARANK] = self._fitted.ranker.scores(features)
        return orders


def _then(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return order values by the first values, and where these are equal by the second ones."""
    major, minor = (np.unique(one, return_inverse=True)[1] for one in (first, second))
    return (major * len(first) + minor).astype(np.float64)
