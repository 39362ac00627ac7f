"""Queries gathered into batches: each once, as it was at its moment."""

from collections.abc import Iterator
from dataclasses import replace
from weakref import ReferenceType, ref

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue.event_counts import SaleCounts
from models.query.query import Query
from models.recommenders.bestsellers import Bestsellers
from tests.builders import DAY_US, NOW_US, browse, crowd, query
from training.examples.batches import BATCH_SIZE, batches


def asked(n_sales: int, n_events: int, *, now_us: int, rng: np.random.Generator) -> Query:
    one = query(crowd(20, rng), *browse(n_events, 20, rng=rng))
    return replace(one, rows=np.arange(n_sales), context=replace(one.context, now_us=now_us))


def test_every_query_is_in_one_batch_with_lists_of_its_length(rng: np.random.Generator) -> None:
    sizes = rng.integers(1, 4, size=200).tolist()
    queries = [asked(size, int(rng.integers(40)), now_us=0, rng=rng) for size in sizes]

    gathered = list(batches(queries, fit_at=lambda _: 0))

    assert sorted(place for places, _ in gathered for place in places) == list(range(200))
    for places, batch in gathered:
        assert len(places) == len(batch) <= BATCH_SIZE
        assert {sizes[place] for place in places} == {batch.rows.shape[1]}
        for place, one in zip(places, batch.queries, strict=True):
            assert one.window is queries[place].window


def test_a_batch_is_answered_by_one_fit(rng: np.random.Generator) -> None:
    queries = [asked(2, 3, now_us=now_us, rng=rng) for now_us in (1, 2, 5, 6)]

    gathered = list(batches(queries, fit_at=lambda now_us: now_us // 5))

    assert [places for places, _ in gathered] == [[0, 1], [2, 3]]


def test_what_is_counted_is_that_of_each_querys_moment(rng: np.random.Generator) -> None:
    """A replay changes its counts in place when it is asked for the next query."""
    one = query(crowd(5, rng))
    counts = SaleCounts.none(5)
    similarities = one.catalogue.neighbours.similarities
    alike = np.where(similarities.any(axis=1), (similarities**8).sum(axis=1), np.nan)

    def replayed() -> Iterator[Query]:
        for _ in range(3):
            counts.totals[:] += 1
            counts.decayed[:] += 1
            yield replace(one, catalogue=one.catalogue.with_counts(counts))

    ((_, batch),) = batches(replayed(), fit_at=lambda _: 0)

    assert batch.counts.decayed[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]
    for n, counted in enumerate(batch.counts.look_alikes, start=1):
        np.testing.assert_allclose(counted[:, 0], n * alike)


def test_queries_that_wait_keep_no_counts_of_a_whole_catalogue(rng: np.random.Generator) -> None:
    """Those of a slate with masked history are its own: hundreds of them fill the memory."""
    one = query(crowd(5, rng))
    totals: list[ReferenceType[NDArray[np.float64]]] = []

    def masked() -> Iterator[Query]:
        for _ in range(3):
            counts = SaleCounts.none(5)
            totals.append(ref(counts.totals))
            yield replace(one, catalogue=one.catalogue.with_counts(counts))

    ((_, batch),) = batches(masked(), fit_at=lambda _: 0)

    assert len(batch) == 3
    assert [held() for held in totals] == [None] * 3


def test_every_query_ticks_once(rng: np.random.Generator) -> None:
    ticks: list[None] = []

    list(
        batches(
            [asked(2, 3, now_us=0, rng=rng) for _ in range(5)],
            fit_at=lambda _: 0,
            tick=lambda: ticks.append(None),
        )
    )

    assert len(ticks) == 5


def test_no_queries_make_no_batch() -> None:
    assert list(batches([], fit_at=lambda _: 0)) == []


@pytest.mark.parametrize("n_events", [0, 40])
def test_a_batch_of_one_is_that_query(n_events: int, rng: np.random.Generator) -> None:
    one = asked(3, n_events, now_us=7, rng=rng)

    ((places, batch),) = batches([one], fit_at=lambda _: 0)

    assert (places, batch.queries[0].context.now_us, batch.rows.tolist()) == ([0], 7, [[0, 1, 2]])


def test_what_depends_on_the_time_of_the_counts_is_that_of_serving(
    rng: np.random.Generator,
) -> None:
    """Half of the recent events of a fit of a week ago are among the counts of 14 days."""
    shop = crowd(5, rng)
    one = query(replace(shop, opens_us=shop.opens_us - 90 * DAY_US))
    bestsellers = Bestsellers(
        keys=one.catalogue.keys,
        events=np.full(5, 100.0),
        recent=np.full(5, 40.0),
        fitted_us=NOW_US - 7 * DAY_US,
    )

    ((_, batch),) = batches([one, one], fit_at=lambda _: 0)

    assert bestsellers.batch_scores(batch).tolist() == [bestsellers.scores(one).tolist()] * 2
