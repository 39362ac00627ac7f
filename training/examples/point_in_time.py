"""Point-in-time features: the features of every slate as of its time, without leakage."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import starmap
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped_array import mapped_array
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import HALF_LIVES_HOURS, HalfLives
from models.catalogue.snapshot import Snapshot
from models.dataset.events import EventTable
from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query, n_known_events
from training.examples.batches import Counted, batches, from_catalogue
from training.examples.refit import RefittedSchema
from training.examples.replay import CountReplay, NeighbourReplay, ProfileReplay, WindowReplay
from training.examples.slates import Slates, texts_of

Tick = Callable[[], None]
Masked = Callable[[int, Query], Query]
"""Changes the query of a slate, by number, before its features are computed."""


@dataclass(frozen=True, eq=False)
class PointInTime:
    """Point-in-time state of the service, at any time; see `training.examples.replay`.

    Attributes:
        events: The event table.
        catalogue: All sales, with counts and neighbours of no particular moment.
        half_lives: Of the counts at each moment.
        counted: Events that are counted; None: all of ``events``.
    """

    events: EventTable
    catalogue: Catalogue
    half_lives: HalfLives = HALF_LIVES_HOURS
    counted: EventTable | None = None

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        pictures: Mapping[str, PictureScores],
        *,
        topics: Topics,
        half_lives: HalfLives = HALF_LIVES_HOURS,
    ) -> Self:
        """Take a dataset's events, and its sales with the scores of their pictures, by sale id."""
        catalogue = sales_as_known(dataset, pictures).catalogue(topics)
        return cls(dataset.events, catalogue, half_lives)

    def counts(self) -> CountReplay:
        """Return the counts of the catalogue's sales, from the first moment on."""
        return self._counts.restarted()

    @cached_property
    def _counts(self) -> CountReplay:
        events = self.events if self.counted is None else self.counted
        return CountReplay(events, self.catalogue, half_lives=self.half_lives)

    @cached_property
    def _windows(self) -> WindowReplay:
        return WindowReplay(self.events)

    @cached_property
    def _profiles(self) -> ProfileReplay:
        return ProfileReplay(self.events)

    def n_known_events(self, slates: Slates) -> NDArray[np.int64]:
        """Return the number of known events of each slate's customer, as its query has it.

        Args:
            slates: Slates, shape ``(n_slates,)``.
        """
        customers, moments = slates.customers.tolist(), (slates.now_us - 1).tolist()
        known = [
            n_known_events(
                self._windows.window(customer, now_us), self._profiles.profile(customer, now_us)
            )
            for customer, now_us in zip(customers, moments, strict=True)
        ]
        return np.array(known, dtype=np.int64)

    def catalogues(self, slates: Slates) -> Iterator[Catalogue]:
        """Yield the catalogue as of every slate; the next changes the counts of the last in place.

        Args:
            slates: Ordered by time.
        """
        counts = self.counts()
        neighbours = NeighbourReplay(self.catalogue)
        catalogue = self.catalogue
        for now_us in (slates.now_us - 1).tolist():
            counted, near = counts.at(now_us), neighbours.at(now_us)
            # Both are the same objects as long as no minute is over and no sale is new.
            if counted is not catalogue.counts or near is not catalogue.neighbours:
                catalogue = replace(self.catalogue, counts=counted, neighbours=near)
            yield catalogue

    def queries(self, slates: Slates, *, caller_orders: bool = False) -> Iterator[Query]:
        """Yield the query of every slate; the next query changes the counts of the last in place.

        A query knows the events received before its slate's moment, and none at that moment.

        Args:
            slates: Ordered by time.
            caller_orders: Whether positions are the ranking of a caller, known before the slate
                is ordered, and not the position bias of where a sale stood.
        """
        # A query's moment is the microsecond before its slate.
        contexts = map(
            Context,
            (slates.now_us - 1).tolist(),
            texts_of(self.events.markets, slates.markets),
            texts_of(self.events.devices, slates.devices),
        )
        states = zip(slates.customers.tolist(), contexts, self.catalogues(slates), strict=True)
        for slate, (customer, context, catalogue) in enumerate(states):
            now_us = context.now_us
            entries = slates.entries(slate)
            ranks, caller_list = slates.known_positions(slate), None
            if caller_orders and ranks is not None:
                caller_list = CallerCandidates.from_rows(
                    self.catalogue,
                    slates.rows[entries],
                    ranks=ranks,
                    prices=slates.prices[entries],
                )
            yield Query(
                window=self._windows.window(customer, now_us),
                profile=self._profiles.profile(customer, now_us),
                catalogue=catalogue,
                context=context,
                rows=slates.rows[entries],
                positions=None if caller_orders else slates.positions[entries],
                caller_list=caller_list,
            )


def sales_as_known(dataset: Dataset, pictures: Mapping[str, PictureScores]) -> Snapshot:
    """Return the sales of a dataset, with the scores of their pictures, as of any time.

    A dataset has only the last known stock. A stock of 0 does not tell since when: without
    ``sold_out_at`` the sale counts as open until it closed.
    """
    sales = {
        sale.sale_id: sale.model_copy(update={"stock": None}) if sale.stock == 0 else sale
        for sale in dataset.sales
    }
    return Snapshot.from_sales(sales, pictures)


def assemble_slates(
    past: PointInTime,
    slates: Slates,
    *,
    schema: FeatureSchema | RefittedSchema,
    caller_orders: bool = False,
    masked: Masked = lambda _, query: query,
    counted: Counted = from_catalogue,
    tick: Tick = lambda: None,
    folder: Path | None = None,
) -> NDArray[np.float32]:
    """Assemble the features of all entries of slates.

    Args:
        past: The state at every moment.
        slates: Ordered by time.
        schema: The features, of one fit or of one fit per period.
        caller_orders: See `PointInTime.queries`.
        masked: Masks a slate's query; see `training.examples.cold_start_mask`.
        counted: See `batches`.
        tick: Called once a slate.
        folder: Where a file holds them; None: they are in memory.

    Returns:
        Shape ``(n_entries, n_features)``.
    """
    shape = len(slates.rows), len(schema.names)
    matrix = mapped_array(shape, np.float32, folder=folder)
    fits = schema if isinstance(schema, RefittedSchema) else RefittedSchema((0,), (schema,))
    queries = past.queries(slates, caller_orders=caller_orders)
    queries = starmap(masked, enumerate(queries))
    for places, batch in batches(queries, fit_at=fits.fit_at, counted=counted, tick=tick):
        starts: NDArray[np.int64] = slates.starts[places][:, None]
        matrix[starts + np.arange(batch.rows.shape[1])] = fits.assemble_batch(batch)
    return matrix
