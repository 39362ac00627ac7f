"""Queries: the customer, the context and the candidate sales that are to be scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.catalogue.eligible_sales import EligibleSales
from models.domain.customer import Window
from models.domain.event import IMPRESSION
from models.domain.profile import Profile
from models.kernel.features import Joined, look_alike_counts
from models.kernel.steps import Step
from models.query.caller_candidates import CallerCandidates
from models.query.customer_history import History, join


@dataclass(frozen=True, slots=True)
class Context:
    """Context of a request: time, market and device.

    Attributes:
        now_us: Microseconds since the epoch.
        market: The customer's market, if known.
        device: The customer's device, if known.
    """

    now_us: int
    market: str | None = None
    device: str | None = None


def n_known_events(window: Window, profile: Profile) -> int:
    """Return the number of known events of a customer without impressions.

    Args:
        window: The customer's window.
        profile: Counts of events before the window.
    """
    # The profile counts events of 180 days up to last night, the window holds the latest 128.
    return max(len(window), sum(profile.counts) - profile.counts[IMPRESSION])


@dataclass(frozen=True, eq=False)
class Query:
    """Input of recommenders and features, for some candidate sales.

    Attributes:
        window: The customer's window.
        profile: Counts of events before the window.
        catalogue: All known sales with their counts.
        context: Time and place.
        rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
        positions: Position at which each was shown, from 1, 0 where it is not on record, when
            training; None when serving, which scores every sale at position 1, shape
            ``(n_sales,)``.
        caller_list: Candidates that the caller ordered, if given; contains every candidate.
        eligible: The eligible sales of the market, if they are the candidates: queries of several
            customers then share what is derived from them.
    """

    window: Window
    profile: Profile
    catalogue: Catalogue
    context: Context
    rows: NDArray[np.int64]
    positions: NDArray[np.int64] | None = None
    caller_list: CallerCandidates | None = None
    eligible: EligibleSales | None = None

    def select(self, rows: NDArray[np.int64]) -> Self:
        """Return the same query for some of the candidates.

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
        """Number of known events of the customer without impressions."""
        return n_known_events(self.window, self.profile)

    @property
    def cache(self) -> CatalogueCache:
        """Values derived from catalogue and candidates; empty unless candidates are shared."""
        shared = self.eligible
        if shared is None or shared.catalogue is not self.catalogue or shared.rows is not self.rows:
            return CatalogueCache()
        return shared.cache

    @cached_property
    def joined(self) -> Joined:
        """The window joined to the catalogue."""
        now_us = [self.context.now_us]
        return join([self.window], [self.profile], catalogues=[self.catalogue], now_us=now_us)

    @property
    def history(self) -> History:
        """The events of the window that are of known sales."""
        return History(self.joined.customers[0])


@dataclass(frozen=True, eq=False)
class CandidateCounts:
    """Event counts of candidates and of the sales with the most similar pictures.

    Attributes:
        decayed: Events of each candidate, by half-life and type code, shape
            ``(n_half_lives, n_queries, n_sales, 6)``; see `models.catalogue.event_counts`.
        totals: Its events of the last 14 days, shape ``(n_queries, n_sales, 6)``.
        look_alikes: Events of each candidate's neighbours together, by type code, NaN without any,
            shape ``(n_queries, n_sales, 6)``; see `models.kernel.features.look_alike_counts`.
    """

    decayed: NDArray[np.float64]
    totals: NDArray[np.float64]
    look_alikes: NDArray[np.float64]

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Copy the counts of a query's candidates, as a replay updates its counts in place."""
        catalogue, rows, near = query.catalogue, query.rows, query.catalogue.neighbours
        look_alikes = look_alike_counts(
            catalogue.counts.totals, near.rows, similarities=near.similarities, rows=rows
        )
        decayed = catalogue.counts.decayed.take(rows[None], axis=1)
        totals = catalogue.counts.totals.take(rows[None], axis=0)
        return cls(decayed, totals, look_alikes[None])

    @classmethod
    def concatenate(cls, counted: Sequence[Self]) -> Self:
        """Join the counts of several queries."""
        return cls(
            np.concatenate([one.decayed for one in counted], axis=1),
            np.concatenate([one.totals for one in counted]),
            np.concatenate([one.look_alikes for one in counted]),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Queries that are scored in one step, bit-identical to scoring each one alone.

    Attributes:
        queries: At least one, with equal numbers of candidates; their catalogues have the same
            sales, with counts, neighbours and openings that may differ.
        rows: Catalogue rows of the candidates, shape ``(n_queries, n_sales)``.
        counts: Event counts of the candidates at these times.
        joined: The windows joined to the catalogue at these times.
        cache: What is derived from catalogues and candidates, for any customer.
    """

    queries: Sequence[Query]
    rows: NDArray[np.int64]
    counts: CandidateCounts
    joined: Joined
    cache: CatalogueCache

    @classmethod
    def from_queries(cls, queries: Sequence[Query], counts: Sequence[CandidateCounts]) -> Self:
        """Batch queries, each with the counts of its candidates at its time."""
        return cls(
            queries=queries,
            rows=np.array([one.rows for one in queries]),
            counts=CandidateCounts.concatenate(counts),
            joined=join(
                [one.window for one in queries],
                [one.profile for one in queries],
                catalogues=[one.catalogue for one in queries],
                now_us=[one.context.now_us for one in queries],
            ),
            cache=CatalogueCache(),
        )

    @classmethod
    def from_query(cls, query: Query) -> Self:
        """Return a batch of one query, without copying large arrays."""
        cache = query.cache
        return cls(
            queries=(query,),
            rows=query.rows[None],
            counts=cache.get_or_make("counts", lambda: CandidateCounts.from_query(query)),
            joined=query.joined,
            cache=cache,
        )

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.queries)

    @property
    def catalogue(self) -> Catalogue:
        """All known sales; counts, neighbours and openings are those of the first query."""
        return self.queries[0].catalogue

    def compute(self, step: Step, given: Callable[[Query], Sequence[float]]) -> NDArray[np.float64]:
        """Compute the columns of one step by the kernel.

        Args:
            step: The step.
            given: Returns the numbers of a query that it reads.

        Returns:
            Shape ``(n_queries, n_sales, step.width)``.
        """
        numbers = np.array([given(query) for query in self.queries], dtype=np.float64)
        return self.joined.scores(step, rows=self.rows, given=numbers)
