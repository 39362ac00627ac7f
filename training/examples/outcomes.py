"""Outcomes: the events that count as success, by the objective of a training run."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable
from models.domain.event import CLICK, PURCHASE
from models.ranker.objective import TrainingObjective
from training.configuration import RunConfig

# Ten on either side of a split in time are needed to fit purchases at all.
_MIN_PURCHASES: Final = 20

OUTCOMES: Final[Mapping[TrainingObjective, tuple[int, ...]]] = {
    TrainingObjective.CLICK: (CLICK, PURCHASE),
    TrainingObjective.PURCHASE: (PURCHASE,),
    TrainingObjective.VALUE: (PURCHASE,),
}
"""Codes of the event types that are successes, by objective."""


def outcome_noun(objective: TrainingObjective) -> str:
    """Return the name of the outcomes of an objective, as texts call them."""
    return "clicks or purchases" if objective is TrainingObjective.CLICK else "purchases"


def is_outcome(events: EventTable, objective: TrainingObjective) -> NDArray[np.bool_]:
    """Return which events are successes, shape ``(n_events,)``.

    A purchase is one of every objective: not each shop logs a click before it.
    """
    return np.isin(events.kinds, OUTCOMES[objective])


def amounts_paid(events: EventTable, catalogue: Catalogue) -> NDArray[np.float64]:
    """Return the amount of each event: revenue, else price times quantity, shape ``(n_events,)``.

    The price of the event, else that of the sale; NaN where neither is known. A quantity that was
    not logged means one piece.
    """
    listed = np.expm1(np.append(catalogue.log_price, np.nan)[catalogue.rows_for(events.sale_keys)])
    prices = np.where(np.isnan(events.prices), listed, events.prices)
    paid = prices * np.maximum(events.quantities, 1)
    return np.where(np.isnan(events.revenues), paid, events.revenues)


def objective_for(config: RunConfig, events: EventTable) -> TrainingObjective:
    """Return the objective of a configuration; without one, choose it by the data.

    Purchases are chosen, or clicks where there are fewer than 20 purchases, and more clicks.
    """
    if config.objective is not None:
        return config.objective
    n_purchases, n_clicks = (int((events.kinds == kind).sum()) for kind in (PURCHASE, CLICK))
    if n_purchases < _MIN_PURCHASES and n_clicks > n_purchases:
        return TrainingObjective.CLICK
    return TrainingObjective.PURCHASE


def if_no_outcome(events: EventTable, objective: TrainingObjective) -> str:
    """Return why nothing can be learned if no event is a success; else nothing."""
    if is_outcome(events, objective).any():
        return ""
    has_clicks = bool((events.kinds == CLICK).any())
    if has_clicks:
        return "no event is a purchase: learn clicks with `--objective click`"
    return "no event is a purchase or a click, and nothing else is learned"
