"""Queries gathered into batches that are answered well in one step."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from models.query.query import Batch, Counted, Query

BATCH_SIZE: Final = 64
"""Queries of a batch at most: twice as many gain nothing, and all that wait are in memory."""


def batches(
    queries: Iterable[Query],
    *,
    fit_of: Callable[[int], int],
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[list[int], Batch]]:
    """Gather queries into batches.

    Those of a batch are answered by one fit, have equally many candidates, and windows of
    about one length, to which all are padded. Others may lie between them.

    Args:
        queries: In order of time; the next one may change the counts of the last.
        fit_of: Tells by which fit a moment is answered, by its time in microseconds.
        tick: Called once a query.

    Yields:
        Places of a batch's queries among all, and the batch; all of one fit before the next.
    """
    waiting: dict[tuple[int, int], list[tuple[int, Query, Counted]]] = defaultdict(list)
    last_fit: int | None = None
    for place, query in enumerate(queries):
        fit = fit_of(query.context.now_us)
        if fit != last_fit:
            yield from map(_batch, waiting.values())
            waiting.clear()
            last_fit = fit
        kind = len(query.rows), len(query.window).bit_length() // 2
        waiting[kind].append((place, query, Counted.now(query)))
        if len(waiting[kind]) == BATCH_SIZE:
            yield _batch(waiting.pop(kind))
        tick()
    yield from map(_batch, waiting.values())


def _batch(alike: list[tuple[int, Query, Counted]]) -> tuple[list[int], Batch]:
    places, queries, counted = zip(*alike, strict=True)
    return list(places), Batch.of(queries, counted)
