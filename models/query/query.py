"""Questions to a scorer: who asks, what he did, when and where, about which sales."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import Memoiser, Offer
from models.domain.customer import Window
from models.domain.event import KIND, EventType
from models.domain.profile import Profile
from models.query.caller_candidates import CallerCandidates
from models.query.customer_history import CustomerHistory, History, SaleInteractions
from models.query.impressions import Impressions

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when a slate is asked for.

    Attributes:
        now_us: The moment, microseconds since the epoch.
        market: The customer's market, if known.
        device: His device, if known.
    """

    now_us: int
    market: str | None = None
    device: str | None = None


@dataclass(frozen=True, eq=False)
class Query:
    """All that a recommender or a feature may look at, for some candidate sales.

    Attributes:
        window: The customer's window.
        profile: What lies further back.
        catalogue: All known sales with their counts.
        context: Time and place.
        rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
        positions: Where each was shown, from 1, when learning; None when serving, which
            scores every sale as if it stood first, shape ``(n_sales,)``.
        listing: The caller's own list, if he gave one; holds every candidate.
        offer: What the candidates are, where others are asked about the same ones.
    """

    window: Window
    profile: Profile
    catalogue: Catalogue
    context: Context
    rows: NDArray[np.int64]
    positions: NDArray[np.int64] | None = None
    listing: CallerCandidates | None = None
    offer: Offer | None = None

    def among(self, rows: NDArray[np.int64]) -> Self:
        """Ask the same about some of the candidates.

        Args:
            rows: Catalogue rows, each one of the candidates, shape ``(n,)``.
        """
        if self.positions is None:
            return replace(self, rows=rows)
        place = {row: index for index, row in enumerate(self.rows.tolist())}
        kept = np.array([place[row] for row in rows.tolist()], dtype=np.intp)
        return replace(self, rows=rows, positions=self.positions[kept])

    @property
    def n_known_events(self) -> int:
        """How many events of the customer are known, impressions apart."""
        counts = self.profile.counts
        # The profile knows all that the last night knew, the window the latest 128 of all.
        return max(len(self.window), sum(counts) - counts[KIND[EventType.IMPRESSION]])

    @property
    def memo(self) -> Memoiser:
        """What follows from catalogue and candidates alone, as far as it is known."""
        offer = self.offer
        if offer is None or offer.catalogue is not self.catalogue or offer.rows is not self.rows:
            return Memoiser()
        return offer.memo

    @cached_property
    def history(self) -> History:
        """The window joined to the catalogue at this moment."""
        return History.of([self.window], self.catalogue, np.array([self.context.now_us]))

    @cached_property
    def touches(self) -> CustomerHistory:
        """The history by sale."""
        return CustomerHistory.of(self.history, len(self.catalogue))

    @cached_property
    def touched(self) -> SaleInteractions:
        """The distinct sales of the history."""
        return SaleInteractions.of(self.history, self.touches)


@dataclass(frozen=True, eq=False)
class Counted:
    """Events that were counted of candidates and of the sales with the most similar pictures.

    Attributes:
        faded: Events of each candidate, by half-life and type code, shape
            ``(n_half_lives, n_queries, n_sales, 5)``; see `models.catalogue.event_counts`.
        neighbours: Catalogue rows of each candidate's neighbours, shape ``(n_queries, n_sales,
            20)``.
        of_neighbours: Events of each neighbour, shape ``(n_queries, n_sales, 20, 5)``.
    """

    faded: NDArray[np.float64]
    neighbours: NDArray[np.int64]
    of_neighbours: NDArray[np.float64]

    @classmethod
    def now(cls, query: Query) -> Self:
        """Read what is counted of a query's candidates; a replay's counts will move on."""
        catalogue, rows = query.catalogue, query.rows[None]
        neighbours = catalogue.neighbours.rows.take(rows, axis=0)
        return cls(
            catalogue.counts.decayed.take(rows, axis=1),
            neighbours,
            catalogue.counts.totals.take(neighbours, axis=0),
        )

    @classmethod
    def together(cls, counted: Sequence[Self]) -> Self:
        """Join what was counted for several queries."""
        return cls(
            np.concatenate([one.faded for one in counted], axis=1),
            np.concatenate([one.neighbours for one in counted]),
            np.concatenate([one.of_neighbours for one in counted]),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Queries that are answered in one step, each to the bit as alone.

    Attributes:
        queries: At least one, with equally many candidates each; their catalogues know the same
            sales, of which counts and openings may differ.
        rows: Catalogue rows of the candidates, shape ``(n_queries, n_sales)``.
        opens_us: Their openings, same shape.
        now_us: Moments, shape ``(n_queries,)``.
        counted: What is counted of the candidates at these moments.
        history: The windows joined to the catalogue at these moments.
        memo: What follows from catalogues and candidates alone, whoever asks.
    """

    queries: Sequence[Query]
    rows: NDArray[np.int64]
    opens_us: NDArray[np.int64]
    now_us: NDArray[np.int64]
    counted: Counted
    history: History
    memo: Memoiser

    @classmethod
    def of(cls, queries: Sequence[Query], counted: Sequence[Counted]) -> Self:
        """Gather queries, with what was counted of each at its moment."""
        now_us = np.array([one.context.now_us for one in queries])
        return cls(
            queries=queries,
            rows=np.array([one.rows for one in queries]),
            opens_us=np.array([one.catalogue.opens_us[one.rows] for one in queries]),
            now_us=now_us,
            counted=Counted.together(counted),
            history=History.of([one.window for one in queries], queries[0].catalogue, now_us),
            memo=Memoiser(),
        )

    @classmethod
    def alone(cls, query: Query) -> Self:
        """Return a batch of one query, of which nothing large is copied."""
        memo = query.memo
        return cls(
            queries=(query,),
            rows=query.rows[None],
            opens_us=memo.once("opens_us", lambda: query.catalogue.opens_us[query.rows][None]),
            now_us=np.array([query.context.now_us]),
            counted=memo.once("counted", lambda: Counted.now(query)),
            history=query.history,
            memo=memo,
        )

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.queries)

    @property
    def catalogue(self) -> Catalogue:
        """All known sales; of counts and openings see `counted` and `opens_us`."""
        return self.queries[0].catalogue

    def described(self, table: NDArray[T]) -> NDArray[T]:
        """Look up the candidates in a table that goes with the catalogue.

        Args:
            table: Describes every sale, shape ``(n_catalogue, ...)``. It is made once for a
                catalogue, not for a query: it is remembered by what it is.

        Returns:
            Shape ``(n_queries, n_sales, ...)``; read only.
        """
        found: tuple[NDArray[T], NDArray[T]] = self.memo.once(
            # While the table is remembered, no other one has its id.
            ("described", id(table)),
            lambda: (table, _rows(table, self.rows)),
        )
        return found[1]

    @cached_property
    def impressions(self) -> Impressions:
        """What the customers were shown at these moments."""
        shown = [one.window.shown for one in self.queries]
        return Impressions.of(shown, self.catalogue, self.now_us)

    @cached_property
    def touches(self) -> CustomerHistory:
        """The histories by sale."""
        return CustomerHistory.of(self.history, len(self.catalogue))

    @cached_property
    def touched(self) -> SaleInteractions:
        """The distinct sales of the histories."""
        return SaleInteractions.of(self.history, self.touches)


def _rows(table: NDArray[T], rows: NDArray[np.int64]) -> NDArray[T]:
    found = table.take(rows, axis=0)
    found.flags.writeable = False  # others read it too
    return found
