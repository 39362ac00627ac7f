"""Training rows: the features of every slate as they were at its moment."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.snapshot import Snapshot
from models.dataset.events import EventTable
from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query
from training.examples.batches import batches
from training.examples.refit import RefittedSchema
from training.examples.replay import CountReplay, ProfileReplay, WindowReplay
from training.examples.slates import Slates, texts_of

Tick = Callable[[], None]
Seen = Callable[[int, Query], Query]


def _as_it_was(slate: int, query: Query) -> Query:
    del slate
    return query


@dataclass(frozen=True, eq=False)
class PointInTime:
    """Answers what the service would have known; see `training.examples.replay`.

    Attributes:
        events: The event table.
        catalogue: All sales; its counts are replaced by those of each moment.
    """

    events: EventTable
    catalogue: Catalogue

    @classmethod
    def of(cls, dataset: Dataset, pictures: Mapping[str, PictureScores], *, topics: Topics) -> Self:
        """Take a dataset's events, and its sales as they were while they sold.

        A stock is the last one that was told. That nothing is left now says nothing of a moment
        before: without the time of its selling out, a sale was open until it closed.

        Args:
            dataset: What happened.
            pictures: What the sales' pictures show, by sale id.
            topics: Label probabilities to topic shares.
        """
        sales = {
            sale.sale_id: sale.model_copy(update={"stock": None}) if sale.stock == 0 else sale
            for sale in dataset.sales
        }
        return cls(dataset.events, Snapshot.of(sales, pictures).catalogue(topics))

    def queries(self, slates: Slates, *, caller_orders: bool = False) -> Iterator[Query]:
        """Yield the query of every slate, in order of time; the next one changes its counts.

        Only what was received before a slate's moment is seen: a purchase at the very
        moment of its impression is not.

        Args:
            slates: Ordered by time.
            caller_orders: Whether the positions are another system's ranking, which is
                known before the slate is ordered, and not a bias of where things stood.
        """
        windows, profiles = WindowReplay(self.events), ProfileReplay(self.events)
        counts = CountReplay(self.events, self.catalogue)
        catalogue, contexts = self.catalogue, self._contexts(slates)
        for slate, (customer, context) in enumerate(
            zip(slates.customers.tolist(), contexts, strict=True)
        ):
            now_us = context.now_us
            counted = counts.at(now_us)
            if counted is not catalogue.counts:
                catalogue = replace(self.catalogue, counts=counted)
            entries = slates.entries(slate)
            positions = slates.positions[entries]
            yield Query(
                window=windows.window(customer, now_us),
                profile=profiles.profile(customer, now_us),
                catalogue=catalogue,
                context=context,
                rows=slates.rows[entries],
                positions=None if caller_orders else positions,
                listing=self._listing(slates, slate) if caller_orders else None,
            )

    def _listing(self, slates: Slates, slate: int) -> CallerCandidates:
        entries = slates.entries(slate)
        return CallerCandidates.of(
            self.catalogue,
            slates.rows[entries],
            ranks=slates.positions[entries],
            prices=slates.prices[entries],
        )

    def _contexts(self, slates: Slates) -> Iterator[Context]:
        """Yield where and when each slate is asked for: the microsecond before it."""
        markets = texts_of(self.events.markets, slates.markets)
        devices = texts_of(self.events.devices, slates.devices)
        return map(Context, (slates.now_us - 1).tolist(), markets, devices)


def assemble_slates(
    past: PointInTime,
    slates: Slates,
    *,
    schema: FeatureSchema | RefittedSchema,
    caller_orders: bool = False,
    seen: Seen = _as_it_was,
    tick: Tick = lambda: None,
) -> NDArray[np.float32]:
    """Assemble the features of all entries of slates.

    Args:
        past: What was known when.
        slates: Ordered by time.
        schema: The features, of one fit or of one for every time.
        caller_orders: See `PointInTime.queries`.
        seen: What is learned from a slate's query; see `training.examples.cold_start_mask`.
        tick: Called once a slate.

    Returns:
        Shape ``(n_entries, n_features)``.
    """
    matrix = np.empty((len(slates.rows), len(schema.names)), dtype=np.float32)
    fits = schema if isinstance(schema, RefittedSchema) else RefittedSchema((0,), (schema,))
    queries = past.queries(slates, caller_orders=caller_orders)
    for places, batch in batches(starmap(seen, enumerate(queries)), fit_of=fits.fit_of, tick=tick):
        starts: NDArray[np.int64] = slates.starts[places][:, None]
        matrix[starts + np.arange(batch.rows.shape[1])] = fits.assemble_batch(batch)
    return matrix
