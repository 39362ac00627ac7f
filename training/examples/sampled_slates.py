"""Sampled slates, for data without impressions: purchases after a visit, and sampled negatives."""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable
from models.dataset.guest_events import customers_of
from models.dataset.refunded_events import NEVER, Refunds
from models.domain.event import REFUND
from models.domain.units import MINUTE_US
from models.ranker.objective import TrainingObjective
from training.configuration import RunConfig
from training.examples.outcomes import is_outcome, objective_for
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates, has_impressions, label_of, shown_slates

VISIT_GAP_US: Final = 30 * MINUTE_US  # the usual session timeout of web analytics


def training_slates(past: PointInTime, config: RunConfig, *, seed: int) -> Slates:
    """Return the slates that were shown; without logged impressions, sampled slates."""
    objective = objective_for(config, past.events)
    if has_impressions(past.events):
        return shown_slates(
            past.events, past.catalogue, outcome_us=config.outcome_us, objective=objective
        )
    return visit_slates(
        past.events,
        past.catalogue,
        n_negatives=config.negatives_per_visit,
        outcome_us=config.outcome_us,
        rng=np.random.default_rng(seed),
        objective=objective,
    )


def visit_slates(
    events: EventTable,
    catalogue: Catalogue,
    *,
    n_negatives: int,
    outcome_us: int,
    rng: np.random.Generator,
    objective: TrainingObjective = TrainingObjective.PURCHASE,
) -> Slates:
    """Make one slate per visit, of outcomes after it and of sampled open sales.

    A visit's moment is that of one of its events, drawn uniformly; a refund is no visit. Sales with
    an outcome of the objective within ``outcome_us`` are positives, without purchases that were
    taken back. Of the other open sales ``n_negatives`` are drawn, with weights that undo the
    sampling.

    Returns:
        The slates, ordered by time; positions are not known.
    """
    moments = _moments(events, rng)
    kept = Refunds.from_events(events).undone_us == NEVER
    bought = np.flatnonzero(is_outcome(events, objective) & kept)
    customers = customers_of(events)
    bought = bought[np.argsort(customers[bought], kind="stable")]
    buyers, starts = np.unique(customers[bought], return_index=True)
    purchases = dict(zip(buyers.tolist(), np.split(bought, starts)[1:], strict=True))
    sample = partial(_sample, events, catalogue, n_negatives=n_negatives, outcome_us=outcome_us)
    none = np.empty(0, dtype=np.intp)
    parts = [
        sample(moment, purchases.get(int(customers[moment]), none), rng=rng) for moment in moments
    ]
    sizes = [len(rows) for rows, _, _ in parts]
    rows, bought, weights = (
        np.concatenate([part[column] for part in parts]) if parts else np.empty(0)
        for column in range(3)
    )
    return Slates(
        customers=events.customers.codes[moments],
        sessions=events.sessions.codes[moments],
        exposures=np.full(len(moments), -1, dtype=np.int64),
        now_us=events.at_us[moments],
        markets=events.markets.codes[moments],
        devices=events.devices.codes[moments],
        starts=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
        rows=rows.astype(np.int64),
        positions=np.zeros(len(rows), dtype=np.int64),
        prices=np.full(len(rows), np.nan),
        clicked=np.zeros(len(rows), dtype=np.bool_),
        bought=bought.astype(np.bool_),
        weights=weights.astype(np.float64),
    )


def _moments(events: EventTable, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw one event of every visit, ordered by time."""
    visiting = np.flatnonzero(events.kinds != REFUND)
    order = visiting[np.lexsort((events.at_us[visiting], events.customers.codes[visiting]))]
    at_us, customers = events.at_us[order], events.customers.codes[order]
    fresh = (np.diff(customers, prepend=-1) != 0) | (np.diff(at_us, prepend=0) > VISIT_GAP_US)
    starts = np.flatnonzero(fresh)
    sizes = np.diff(np.append(starts, len(order)))
    # Any event of the visit, so that slates of a visit's middle and end are learned from too.
    drawn = order[starts + rng.integers(0, sizes)]
    return drawn[np.argsort(events.at_us[drawn], kind="stable")]


def _sample(
    events: EventTable,
    catalogue: Catalogue,
    moment: int,
    later: NDArray[np.intp],
    *,
    n_negatives: int,
    outcome_us: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
    now_us = int(events.at_us[moment])
    market = label_of(events.markets, int(events.markets.codes[moment]))
    eligible = catalogue.eligible(market, now_us)
    at_us = events.at_us[later]
    within = (at_us >= now_us) & (at_us <= now_us + outcome_us)
    # An event received before is known to the features: as an outcome it would leak.
    within &= events.received_us[later] >= now_us
    found = catalogue.rows_for(events.sale_keys[later[within]])
    is_bought = np.zeros(len(catalogue), dtype=np.bool_)
    is_bought[found[found >= 0]] = True
    bought, others = eligible[is_bought[eligible]], eligible[~is_bought[eligible]]
    drawn = rng.choice(others, size=min(n_negatives, len(others)), replace=False)
    return (
        np.concatenate([bought, drawn]),
        np.repeat([True, False], [len(bought), len(drawn)]),
        np.repeat([1.0, len(others) / max(len(drawn), 1)], [len(bought), len(drawn)]),
    )
