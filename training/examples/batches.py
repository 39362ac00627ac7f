"""Batches of similar queries, whose features are computed together."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import SaleCounts
from models.query.query import Batch, CandidateCounts, Query

# Twice as many are no faster, and all waiting queries are in memory.
BATCH_SIZE: Final = 64
"""Largest batch."""

Counted = Callable[[int, Query], CandidateCounts]
"""Returns the counts of a query's candidates, by its place."""


def from_catalogue(_: int, query: Query) -> CandidateCounts:
    """Return the counts of a query's candidates by its catalogue."""
    return CandidateCounts.from_query(query)


def batches(
    queries: Iterable[Query],
    *,
    fit_at: Callable[[int], int],
    counted: Counted = from_catalogue,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[list[int], Batch]]:
    """Gather queries into batches.

    The queries of a batch are answered by one fit and have equally many candidates. Their
    windows are of similar length, to which all are padded. Queries of other batches may lie
    between them.

    Args:
        queries: In order of time; the next one may change the counts of the last in place.
        fit_at: Returns the number of the fit that answers at a time in microseconds.
        counted: Returns the counts of candidates; default: those of the query's catalogue.
        tick: Called once a query.

    Yields:
        Indices of a batch's queries, and the batch, whose counts are apart from its catalogue;
        all of one fit before the next.
    """
    waiting: dict[tuple[int, int], list[tuple[int, Query, CandidateCounts]]] = defaultdict(list)
    last_fit: int | None = None
    emptied: tuple[Catalogue, Catalogue] | None = None
    for place, query in enumerate(queries):
        fit = fit_at(query.context.now_us)
        if fit != last_fit:
            yield from map(_batch, waiting.values())
            waiting.clear()
            last_fit = fit
        # Windows are padded to the longest: classes of a factor of 4 keep the padding small.
        kind = len(query.rows), len(query.window).bit_length() // 2
        counts = counted(place, query)
        # A masked query has counts of its own, 20 MB of 80,000 sales: many wait at a time.
        if emptied is None or emptied[0] is not query.catalogue:
            catalogue, none = query.catalogue, SaleCounts.none(0)
            counts_now = SaleCounts(catalogue.counts.at_us, none.totals, none.decayed)
            emptied = catalogue, replace(catalogue, counts=counts_now)
        query = replace(query, catalogue=emptied[1])
        waiting[kind].append((place, query, counts))
        if len(waiting[kind]) == BATCH_SIZE:
            yield _batch(waiting.pop(kind))
        tick()
    yield from map(_batch, waiting.values())


def _batch(alike: list[tuple[int, Query, CandidateCounts]]) -> tuple[list[int], Batch]:
    places, queries, counted = zip(*alike, strict=True)
    return list(places), Batch.from_queries(queries, counted)
