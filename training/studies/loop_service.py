"""The service of a closed loop, in one process: features, scorer and slates of the product."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable, keys_for
from models.dataset.reading import Dataset
from models.domain.event import KIND, EventType
from models.pictures.scene_labeller import SceneLabeller
from models.query.query import Query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from models.slate.exploration import seed_from
from models.slate.slate import make_slate
from models.slate.slate_policy import SlatePolicy
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates
from training.scenes.picture_scores import score_pictures
from training.simulator.files import customer_names, event_frame, sale_names
from training.simulator.logging_policy import LoggedSlates
from training.simulator.parameters import DEVICES, MARKETS
from training.simulator.simulation import Asked, Shop

_LAST_US: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Ranked:
    """Slates of some visits, and what was predicted.

    Attributes:
        slates: The slates.
        probabilities: P(purchase | examined) of the day's sales, NaN where they may not be shown,
            shape ``(n_visits, n_rows)``.
    """

    slates: LoggedSlates
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LoopService:
    """A bundle that answers the visits of a simulated shop.

    Attributes:
        scorer: Of the bundle.
        catalogue: Sales that opened until the end of the day.
        run: The shop; its events so far are what the store would know.
        rows: Catalogue row of each sale of the world, -1 if unknown, shape ``(n_sales,)``.
    """

    scorer: Scorer
    catalogue: Catalogue
    run: Shop
    rows: NDArray[np.int64]

    @classmethod
    def open(cls, bundle: Path, run: Shop, dataset: Dataset, *, cache: Path) -> Self:
        """Load a bundle, and label the pictures of the dataset's sales."""
        scorer = Scorer.load(read_bundle(bundle))
        pictures = score_pictures(dataset.images, SceneLabeller.open(bundle), cache=cache)
        past = PointInTime.from_dataset(dataset, pictures, topics=scorer.topics)
        keys = keys_for(sale_names(len(run.world.sales)))
        return cls(scorer, past.catalogue, run, past.catalogue.rows_for(keys))

    def rank(self, asked: Asked, policy: SlatePolicy) -> Ranked:
        """Rank the eligible sales of every visit by what is known at its moment."""
        n_shown = min(self.run.world.parameters.slate_size, len(asked.sales))
        column = np.full((len(asked.visit), n_shown), -1)
        propensity = np.zeros(column.shape)
        probabilities = np.full(asked.eligible.shape, np.nan)
        for number, query in self._queries(asked):
            chosen = np.flatnonzero(asked.eligible[number])
            scores = self.scorer.score(query, policy.order_by)
            # The seed is that of the answer: lists of a visit differ by the policy alone.
            seed = seed_from(f"{asked.visit[number]}")
            slate = make_slate(query, scores, policy=policy, limit=n_shown, seed=seed)
            column[number, : len(slate.picks)] = chosen[slate.picks]
            propensity[number, : len(slate.picks)] = slate.propensities
            probabilities[number, chosen] = scores.probabilities
        return Ranked(LoggedSlates(column, propensity), probabilities)

    def _queries(self, asked: Asked) -> Iterator[tuple[int, Query]]:
        """Yield number and query of every visit, ordered by time."""
        events = self._events(asked.visit)
        asking = np.flatnonzero(events.kinds == KIND[EventType.SEARCH])
        visit = events.event_ids[asking].cast(pl.Int64).to_numpy()
        by_visit = np.argsort(asked.visit)
        numbers = by_visit[np.searchsorted(asked.visit[by_visit], visit)]
        rows = [self.rows[asked.sales[asked.eligible[number]]] for number in numbers]
        slates = _unshown(events, asking, rows)
        past = PointInTime(events, self.catalogue, self.scorer.counts.half_lives)
        for number, query in zip(numbers.tolist(), past.queries(slates), strict=True):
            # As in service, where the position is not known before the order is.
            yield number, replace(query, positions=None)

    def _events(self, visit: NDArray[np.int64]) -> EventTable:
        """Return the events so far, and a search at each visit, named by its number."""
        world = self.run.world
        rng = np.random.default_rng(0)  # draws quantities, which no feature reads
        log = event_frame(world, self.run.history(), until_us=_LAST_US, rng=rng)
        log = log.rename({"received_at": "received_us"}).with_columns(
            pl.col("at", "received_us").dt.epoch("us")
        )
        customer = world.visits.customer[visit]
        markets: list[int] = world.customers.market[customer].tolist()
        devices: list[int] = world.visits.device[visit].tolist()
        # Received at the visit, too late to be known to it.
        asking = pl.DataFrame(
            {
                "event_id": pl.Series(visit).cast(pl.String),
                "customer_id": customer_names(customer),
                "type": [EventType.SEARCH.value] * len(visit),
                "at": world.visits.at_us[visit],
                "received_us": world.visits.at_us[visit],
                "market": [MARKETS[code] for code in markets],
                "device": [DEVICES[code] for code in devices],
            }
        )
        return EventTable.from_frame(pl.concat([log, asking], how="diagonal"))


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
