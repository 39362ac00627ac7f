"""The service of a closed loop, in one process: features, scorer and slates of the product."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import RETENTION_HOURS
from models.dataset.event_columns import keys_for
from models.dataset.events import EventTable
from models.domain.event import KIND, EventType
from models.domain.units import HOUR_US
from models.query.query import Query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from models.slate.exploration import seed_from
from models.slate.slate import make_slate
from models.slate.slate_policy import SlatePolicy
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates
from training.nightly.comparison import BundleComparison
from training.scenes.picture_scores import pictures_of
from training.simulator.files import answer_names, customer_names, event_frame, sale_names
from training.simulator.logging_policy import LoggedSlates
from training.simulator.parameters import DEVICES, MARKETS
from training.simulator.simulation import Asked, Events, Shop

_LAST_US: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Ranked:
    """Slates of some visits, and what was predicted.

    Attributes:
        slates: The slates.
        certain: The same without chance.
        probabilities: P(purchase | examined) of the day's sales, NaN where they may not be shown,
            shape ``(n_visits, n_rows)``.
    """

    slates: LoggedSlates
    certain: LoggedSlates
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moment:
    """What is known when the lists of some visits are asked for; all services share it.

    Attributes:
        asked: The visits.
        events: The events so far that say something of these visits, and a search at each visit.
        asking: Rows of the searches in ``events``, shape ``(n_visits,)``.
        numbers: Number of each search's visit in ``asked``, same shape.
    """

    asked: Asked
    events: EventTable
    asking: NDArray[np.intp]
    numbers: NDArray[np.intp]

    @classmethod
    def of(cls, run: Shop, asked: Asked) -> Self:
        """Take what a shop knows at the visits.

        Left out are old events of customers who do not ask, which no feature of the visits reads.
        """
        log, customer, at_us = run.log(), run.world.visits.customer, run.world.visits.at_us
        counted_us = int(at_us[asked.visit].min()) - (RETENTION_HOURS + 1) * HOUR_US
        is_read = (log.received_us >= counted_us) | np.isin(
            customer[log.visit], customer[asked.visit]
        )
        log = Events(**{name: column[is_read] for name, column in vars(log).items()})
        events = _with_searches(run, asked, log)
        asking = np.flatnonzero(events.kinds == KIND[EventType.SEARCH])
        visit = events.event_ids[asking].cast(pl.Int64).to_numpy()
        by_visit = np.argsort(asked.visit)
        numbers = by_visit[np.searchsorted(asked.visit[by_visit], visit)]
        return cls(asked, events, asking, numbers)


@dataclass(frozen=True, eq=False)
class LoopService:
    """A bundle that answers the visits of a simulated shop.

    Attributes:
        bundle_id: Id of the bundle.
        scorer: Of the bundle.
        catalogue: Sales that opened until the end of the day.
        rows: Catalogue row of each sale of the world, -1 if unknown, shape ``(n_sales,)``.
        n_shown: Places of a slate.
    """

    bundle_id: str
    scorer: Scorer
    catalogue: Catalogue
    rows: NDArray[np.int64]
    n_shown: int

    @classmethod
    def open(cls, bundle: Path, run: Shop, known: BundleComparison) -> Self:
        """Load a bundle, and label the pictures of the sales of a dataset."""
        loaded = read_bundle(bundle)
        scorer = Scorer.load(loaded)
        pictures = pictures_of(scorer, bundle, images=known.dataset.images, cache=known.cache)
        past = PointInTime.from_dataset(known.dataset, pictures, topics=scorer.topics)
        rows = past.catalogue.rows_for(keys_for(sale_names(len(run.world.sales))))
        return cls(loaded.id, scorer, past.catalogue, rows, run.world.parameters.slate_size)

    def rank(self, moment: Moment, policy: SlatePolicy) -> Ranked:
        """Rank the eligible sales of every visit by what is known at its moment."""
        asked = moment.asked
        n_shown = min(self.n_shown, len(asked.sales))
        shape = len(asked.visit), n_shown
        made, certain = (
            LoggedSlates(np.full(shape, -1), np.zeros(shape)) for _ in ("made", "certain")
        )
        without_chance = policy.model_copy(update={"exploration": None})
        probabilities = np.full(asked.eligible.shape, np.nan)
        names = answer_names(asked.visit).to_list()
        for number, query in self._queries(moment):
            chosen = np.flatnonzero(asked.eligible[number])
            scores = self.scorer.score(query, policy.order_by)
            # The seed is that of the answer: lists of a visit differ by the policy alone.
            seed = seed_from(names[number])
            for slates, by in ((made, policy), (certain, without_chance)):
                slate = make_slate(query, scores, policy=by, limit=n_shown, seed=seed)
                slates.column[number, : len(slate.picks)] = chosen[slate.picks]
                slates.propensity[number, : len(slate.picks)] = slate.propensities
            probabilities[number, chosen] = scores.probabilities
        return Ranked(made, certain, probabilities)

    def _queries(self, moment: Moment) -> Iterator[tuple[int, Query]]:
        """Yield number and query of every visit, ordered by time."""
        asked, numbers = moment.asked, moment.numbers
        rows = [self.rows[asked.sales[asked.eligible[number]]] for number in numbers]
        slates = _unshown(moment.events, moment.asking, rows)
        past = PointInTime(moment.events, self.catalogue, self.scorer.counts.half_lives)
        for number, query in zip(numbers.tolist(), past.queries(slates), strict=True):
            # As in service, where the position is not known before the order is.
            yield number, replace(query, positions=None)


def _with_searches(run: Shop, asked: Asked, log: Events) -> EventTable:
    """Return the events of a log, and a search at each visit, named by its number."""
    world = run.world
    customer = world.visits.customer[asked.visit]
    rng = np.random.default_rng(0)  # draws quantities, which no feature reads
    frame = event_frame(world, log, uniform=run.uniform, until_us=_LAST_US, rng=rng)
    frame = frame.rename({"received_at": "received_us"}).with_columns(
        # Simulated sales have one picture.
        pl.col("at", "received_us").dt.epoch("us"),
        cover=pl.lit(None, pl.Int32),
    )
    markets: list[int] = world.customers.market[customer].tolist()
    devices: list[int] = world.visits.device[asked.visit].tolist()
    # Received at the visit, too late to be known to it.
    asking = pl.DataFrame(
        {
            "event_id": pl.Series(asked.visit).cast(pl.String),
            "customer_id": customer_names(customer),
            "type": [EventType.SEARCH.value] * len(asked.visit),
            "at": world.visits.at_us[asked.visit],
            "received_us": world.visits.at_us[asked.visit],
            "market": [MARKETS[code] for code in markets],
            "device": [DEVICES[code] for code in devices],
        }
    )
    return EventTable.from_frame(pl.concat([frame, asking], how="diagonal"))


def _unshown(events: EventTable, asking: NDArray[np.intp], rows: list[NDArray[np.int64]]) -> Slates:
    """Return slates of candidates, without positions and outcomes, at the moment of some events."""
    starts = np.cumsum([0, *(len(one) for one in rows)])
    candidates: NDArray[np.int64] = np.concatenate(rows)
    n, nothing = len(candidates), np.zeros(len(candidates), dtype=np.bool_)
    return Slates(
        customers=events.customers.codes[asking],
        sessions=events.sessions.codes[asking],
        exposures=events.exposures.codes[asking],
        now_us=events.at_us[asking],
        markets=events.markets.codes[asking],
        devices=events.devices.codes[asking],
        starts=starts.astype(np.int64),
        rows=candidates,
        positions=np.zeros(n, dtype=np.int64),
        prices=np.full(n, np.nan),
        clicked=nothing,
        bought=nothing,
        weights=np.ones(n),
    )
