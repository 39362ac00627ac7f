"""Training rows know nothing that the service would not have known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path

import numpy as np
import pytest

from models.dataset.faults import FaultReport
from models.dataset.reading import Dataset, read_dataset
from models.domain.event import from_us, key
from models.domain.profile import Profile
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.query import Context, Query
from tests.builders import picture
from tests.logs import DAY, HOUR, MINUTE, NOON, SECOND, Row, catalogue, event_table, ids_of, sale
from training.examples.cold_start_mask import ColdStartMask
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.refit import fit_recommenders
from training.examples.replay import CountReplay, WindowReplay
from training.examples.slates import Slates, shown_slates
from training.pipeline.training_data import cut
from training.recommenders.interactions import Interactions

N_MOMENTS = 25


def past_of(dataset: Dataset) -> PointInTime:
    """Every sale has a picture, the same in every cut of the dataset."""
    motifs = {one.sale_id: key(one.sale_id) for one in dataset.sales}
    pictures = {
        sale_id: picture(1, 0, embedding={motif % 3: 0.8, 3 + motif % 100: 0.6})
        for sale_id, motif in motifs.items()
    }
    return PointInTime.from_dataset(dataset, pictures, topics=Topics.none())


def schema_of(past: PointInTime) -> FeatureSchema:
    return FeatureSchema(fit_recommenders(Interactions.from_events(past.events, past.catalogue)))


@dataclass(frozen=True, eq=False)
class AllRegistered(PointInTime):
    """A past with a leak planted: neighbours are among all sales, those that open later, too."""

    def queries(self, slates: Slates, *, caller_orders: bool = False) -> Iterator[Query]:
        for query in super().queries(slates, caller_orders=caller_orders):
            catalogue = replace(query.catalogue, neighbours=self.catalogue.neighbours)
            yield replace(query, catalogue=catalogue)


@dataclass(frozen=True, eq=False)
class Peeking(PointInTime):
    """A past with a leak planted: windows hold the next hour, too."""

    def queries(self, slates: Slates, *, caller_orders: bool = False) -> Iterator[Query]:
        windows = WindowReplay(self.events)
        for slate, query in enumerate(super().queries(slates, caller_orders=caller_orders)):
            customer, now_us = int(slates.customers[slate]), int(slates.now_us[slate])
            yield replace(query, window=windows.window(customer, now_us + HOUR))


def slate_of_a_day(events_past: PointInTime, rng: np.random.Generator) -> Slates:
    slates = shown_slates(events_past.events, events_past.catalogue, outcome_us=DAY)
    late = np.flatnonzero(slates.now_us > np.median(slates.now_us))
    return slates.select(np.sort(rng.choice(late, size=N_MOMENTS, replace=False)))


def columns_that_know_the_future(
    past: PointInTime, dataset: Dataset, *, slates: Slates, schema: FeatureSchema
) -> set[str]:
    """Compare features with those from a dataset that ends at their moment.

    What happened later, and what became known of sales later, must change nothing.
    """
    matrix = assemble_slates(past, slates, schema=schema)
    found: set[str] = set()
    for slate in range(len(slates)):
        one = slates.select(np.array([slate]))
        then = past_of(cut(dataset, int(one.now_us[0])))
        keys = past.catalogue.keys[one.rows]
        same = replace(one, rows=then.catalogue.rows_for(keys))
        expected = assemble_slates(then, same, schema=schema)
        differs = ~np.isclose(matrix[slates.entries(slate)], expected, rtol=0, equal_nan=True)
        found |= {schema.names[column] for column in np.flatnonzero(differs.any(axis=0))}
    return found


@pytest.fixture(scope="module")
def world(tiny_world: Path) -> Dataset:
    return read_dataset(tiny_world)


def test_features_are_those_of_a_dataset_that_ends_at_their_moment(
    world: Dataset, rng: np.random.Generator
) -> None:
    past = past_of(world)
    schema = schema_of(past)
    assert any(sale.sold_out_at for sale in world.sales)

    slates = slate_of_a_day(past, rng)

    assert columns_that_know_the_future(past, world, slates=slates, schema=schema) == set()


def test_a_planted_leak_is_found(world: Dataset, rng: np.random.Generator) -> None:
    honest = past_of(world)
    schema = schema_of(honest)
    slates = slate_of_a_day(honest, rng)
    peeking = Peeking(honest.events, honest.catalogue)

    found = columns_that_know_the_future(peeking, world, slates=slates, schema=schema)

    assert {"same_sale_views", "same_sale_recency", "customer_views"} <= found


def test_look_alikes_that_open_later_are_a_leak_that_would_be_found(
    world: Dataset, rng: np.random.Generator
) -> None:
    honest = past_of(world)
    schema = schema_of(honest)
    slates = slate_of_a_day(honest, rng)
    knowing = AllRegistered(honest.events, honest.catalogue)

    found = columns_that_know_the_future(knowing, world, slates=slates, schema=schema)

    assert found == {"images_neighbours", "images_look_alikes", "images_look_alike_clicks"}


def test_the_end_of_a_sale_that_sells_out_later_is_a_leak_that_would_be_found(
    world: Dataset, rng: np.random.Generator
) -> None:
    """Were the announced closing the real one, time left would tell of the sell-out."""
    schema = schema_of(past_of(world))
    closed_early = tuple(
        sale.model_copy(update={"closes_at": sale.sold_out_at or sale.closes_at})
        for sale in world.sales
    )
    past = past_of(replace(world, sales=closed_early))
    slates = slate_of_a_day(past, rng)
    ends_us = past.catalogue.closes_us[slates.rows]
    assert np.any(ends_us < past_of(world).catalogue.scheduled_us[slates.rows])

    found = columns_that_know_the_future(past, world, slates=slates, schema=schema)

    assert found == {"sale_time_left"}


LOG = [
    Row(at=-2 * DAY, sale="s2", kind="purchase"),
    Row(at=-MINUTE, sale="s1", market="fr", device="mobile"),
    Row(at=0, kind="impression", sale="s1", exposure="x", position=1, market="fr"),
    Row(at=0, kind="impression", sale="s2", exposure="x", position=2, market="fr"),
    Row(at=0, kind="purchase", sale="s1"),
    Row(at=-SECOND, kind="click", sale="s2", received=MINUTE),
]


def test_a_sale_is_closed_from_when_it_sold_out_and_not_by_the_stock_of_today() -> None:
    """s1 sold out an hour ago, s2 has a stock of 0 since an unknown time; s3 sells."""
    sales = (
        sale("s1", stock=0, sold_out_at=from_us(NOON - HOUR)),
        sale("s2", stock=0),
        sale("s3", stock=1),
    )
    dataset = Dataset(sales, event_table([]), None, Path(), {}, FaultReport.none(), "")

    past = PointInTime.from_dataset(dataset, {}, topics=Topics.none())

    before, now = (past.catalogue.eligible(None, at) for at in (NOON - 2 * HOUR, NOON))
    assert sorted(ids_of(past.catalogue, before)) == ["s1", "s2", "s3"]
    assert sorted(ids_of(past.catalogue, now)) == ["s2", "s3"]


def past_and_slates(log: list[Row]) -> tuple[PointInTime, Slates]:
    past = PointInTime(event_table(log), catalogue("s1", "s2"))
    return past, shown_slates(past.events, past.catalogue, outcome_us=DAY)


def test_assembled_rows_are_those_of_queries_built_by_hand() -> None:
    """What was received before noon: a purchase of s2 two days ago and a view of s1."""
    past, slates = past_and_slates(LOG)
    schema = schema_of(past)
    known = event_table(LOG[:2])
    by_hand = Query(
        window=WindowReplay(known).window(0, NOON),
        profile=Profile(NOON - 2 * DAY, (0, 0, 0, 0, 1), month=(0, 0, 0, 0, 1)),
        catalogue=past.catalogue.with_counts(CountReplay(known, past.catalogue).at(NOON - 1)),
        context=Context(NOON - 1, market="fr", device=None),
        rows=slates.rows,
        positions=np.array([1, 2]),
    )

    matrix = assemble_slates(past, slates, schema=schema)

    np.testing.assert_array_equal(matrix, schema.assemble(by_hand))


def test_slates_assembled_together_have_the_bits_of_each_alone(
    world: Dataset, rng: np.random.Generator
) -> None:
    """Online answers one query at a time: what is learned from must be what it computes."""
    past = past_of(world)
    schema = schema_of(past)
    slates = shown_slates(past.events, past.catalogue, outcome_us=DAY)
    slates = slates.select(np.sort(rng.choice(len(slates), size=400, replace=False)))
    mask = ColdStartMask.draw(slates, share=0.3, seed=1)

    matrix = assemble_slates(past, mask.slates, schema=schema, masked=mask.apply)

    queries = starmap(mask.apply, enumerate(past.queries(mask.slates)))
    alone = np.concatenate([schema.assemble(one) for one in queries])
    assert matrix.tobytes() == alone.tobytes()


def test_a_purchase_at_the_very_moment_of_its_impression_is_its_outcome_and_not_its_feature() -> (
    None
):
    past, slates = past_and_slates(LOG)
    schema = FeatureSchema(())

    matrix = assemble_slates(past, slates, schema=schema)

    purchases = matrix[:, schema.names.index("same_sale_purchases")]
    of_s1 = slates.rows == past.catalogue.row_for("s1")
    assert slates.bought.tolist() == of_s1.tolist()
    assert purchases[of_s1].tolist() == [0.0]
    assert purchases[~of_s1].tolist() == [1.0]


@pytest.mark.parametrize(
    ("caller_orders", "position", "listed"),
    [(False, [1.0, 2.0], [np.nan, np.nan]), (True, [1.0, 1.0], [1.0, 2.0])],
)
def test_a_position_is_a_bias_unless_the_caller_ordered_the_list(
    *, caller_orders: bool, position: list[float], listed: list[float]
) -> None:
    past, slates = past_and_slates(LOG)
    schema = FeatureSchema(())

    matrix = assemble_slates(past, slates, schema=schema, caller_orders=caller_orders)

    np.testing.assert_array_equal(matrix[:, schema.names.index("position")], position)
    np.testing.assert_array_equal(matrix[:, schema.names.index("list_rank")], listed)


def test_known_events_of_a_customer_are_those_of_their_query(
    world: Dataset, rng: np.random.Generator
) -> None:
    past = past_of(world)
    slates = slate_of_a_day(past, rng)

    known = past.n_known_events(slates)

    assert known.any()
    assert known.tolist() == [query.n_known_events for query in past.queries(slates)]


def test_every_slate_ticks_once() -> None:
    past, slates = past_and_slates([*LOG, Row(kind="impression", at=HOUR)])
    ticks: list[None] = []

    assemble_slates(past, slates, schema=FeatureSchema(()), tick=lambda: ticks.append(None))

    assert len(ticks) == len(slates) == 2
