"""Creation of a simulated world: draws it, runs its visits and writes its files."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.simulator import files
from training.simulator.customers import draw_customers, draw_visits
from training.simulator.parameters import Parameters
from training.simulator.period import Period
from training.simulator.pictures.measure import measure_jpeg
from training.simulator.pictures.source import Photographs, PictureSource, RenderedPictures
from training.simulator.sales import Sales, draw_sales
from training.simulator.simulation import World, simulate
from training.simulator.tastes import SaleFeatures, draw_tastes, standardised
from training.simulator.texts import write_texts


@dataclass(frozen=True)
class Summary:
    """Sizes of a created world.

    Attributes:
        world: Name of the world.
        customers: Number of customers.
        sales: Number of sales.
        visits: Number of visits.
        events: Number of events.
        by_type: Number of events of each type.
        pictures: Number of pictures, of sales and labelled.
        expected_purchases_at_10: A visit's mean by oracle; see ``Oracles``.
        seconds: Time that it took.
    """

    world: str
    customers: int
    sales: int
    visits: int
    events: int
    by_type: dict[str, int]
    pictures: int
    expected_purchases_at_10: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class _Streams:
    """One source of randomness per concern, so that more customers leave the sales alone."""

    split: np.random.Generator
    sales: np.random.Generator
    covers: np.random.Generator
    labelled: np.random.Generator
    texts: np.random.Generator
    tastes: np.random.Generator
    customers: np.random.Generator
    visits: np.random.Generator
    behaviour: np.random.Generator
    quantities: np.random.Generator


def create_world(
    folder: Path,
    parameters: Parameters,
    *,
    period: Period,
    n_customers: int,
    seed: int,
    photos: Path | None = None,
    progress: Callable[[str, float], None] = lambda _stage, _share: None,
) -> Summary:
    """Draw a world, let its customers visit, and write it as a dataset.

    The same seed gives the same files, byte for byte. Pictures are rendered, or are those of the
    folder ``photos``, with a folder per category. ``progress`` gets the name of a stage and the
    share of it that is done.

    Raises:
        ValueError: If the folder of photographs holds too few.
    """
    started = time.perf_counter()
    streams = _streams(seed)
    n = parameters.scenes_per_category
    source: PictureSource = RenderedPictures()
    if photos is not None:
        source = Photographs(photos, n_labelled=n, rng=streams.split)
    scenes, places = source.scenes, source.destinations
    sales = draw_sales(parameters, period, scenes=scenes, destinations=places, rng=streams.sales)
    attributes = _write_covers(folder, sales, source=source, rng=streams.covers, progress=progress)
    n_labelled = _write_labelled(folder, n, source=source, rng=streams.labelled, progress=progress)
    features = SaleFeatures(sales, attributes, scenes=scenes, destinations=places)
    world = _drawn(parameters, period, features=features, n_customers=n_customers, streams=streams)
    history = simulate(world, rng=streams.behaviour, progress=partial(progress, "visits"))
    texts = write_texts(sales, scenes=scenes, destinations=places, rng=streams.texts)
    files.write_sales(folder, sales, period=period, destinations=places, texts=texts)
    files.write_sale_truth(folder, sales, scenes=scenes, attributes=attributes)
    files.write_customers(folder, world.customers)
    by_type = files.write_events(folder, world, history=history, rng=streams.quantities)
    files.write_truth(folder, world, truth=history.truth)
    files.write_position_truth(folder, parameters.slate_size, curve=parameters.examination)
    return Summary(
        world=parameters.name,
        customers=n_customers,
        sales=len(sales),
        visits=len(world.visits),
        events=sum(by_type.values()),
        by_type=by_type,
        pictures=len(sales) + n_labelled,
        expected_purchases_at_10=history.oracles,
        seconds=round(time.perf_counter() - started, 2),
    )


def redraw_world(
    folder: Path, parameters: Parameters, *, period: Period, n_customers: int, seed: int
) -> World:
    """Draw the world of rendered pictures that `create_world` wrote again, bit for bit.

    Args:
        folder: Where it was written; only its pictures are read.
        parameters: The world; this and the other arguments as they were then.
        period: Simulated time.
        n_customers: Number of customers.
        seed: Its seed.
    """
    streams = _streams(seed)
    source = RenderedPictures()
    scenes, places = source.scenes, source.destinations
    sales = draw_sales(parameters, period, scenes=scenes, destinations=places, rng=streams.sales)
    pictures = [folder / "images" / f"{name}.jpg" for name in files.sale_names(len(sales))]
    measured = np.array([measure_jpeg(picture.read_bytes()) for picture in pictures])
    features = SaleFeatures(sales, standardised(measured), scenes=scenes, destinations=places)
    return _drawn(parameters, period, features=features, n_customers=n_customers, streams=streams)


def _drawn(
    parameters: Parameters,
    period: Period,
    *,
    features: SaleFeatures,
    n_customers: int,
    streams: _Streams,
) -> World:
    customers = draw_customers(parameters, period, n_customers=n_customers, rng=streams.customers)
    return World(
        parameters=parameters,
        period=period,
        features=features,
        tastes=draw_tastes(
            parameters,
            n_scenes=features.n_scenes,
            n_countries=features.n_countries,
            rng=streams.tastes,
        ),
        customers=customers,
        visits=draw_visits(parameters, period, customers=customers, rng=streams.visits),
    )


def _streams(seed: int) -> _Streams:
    # By the order of the fields: a new stream goes last, or all later ones change.
    names = _Streams.__dataclass_fields__
    seeds = np.random.SeedSequence(seed).spawn(len(names))
    return _Streams(**dict(zip(names, map(np.random.default_rng, seeds), strict=True)))


def _write_covers(
    folder: Path,
    sales: Sales,
    *,
    source: PictureSource,
    rng: np.random.Generator,
    progress: Callable[[str, float], None],
) -> NDArray[np.float64]:
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    measured: list[NDArray[np.float64]] = []
    for row, name in enumerate(files.sale_names(len(sales))):
        picture = source.cover(int(sales.scene[row]), rng)
        (images / f"{name}.jpg").write_bytes(picture)
        measured.append(measure_jpeg(picture))
        progress("pictures of sales", (row + 1) / len(sales))
    return standardised(np.array(measured))


def _write_labelled(
    folder: Path,
    n_per_scene: int,
    *,
    source: PictureSource,
    rng: np.random.Generator,
    progress: Callable[[str, float], None],
) -> int:
    n_written = 0
    for index, scene in enumerate(source.scenes):
        category = folder / "scenes" / scene.name
        category.mkdir(parents=True, exist_ok=True)
        pictures = source.labelled(index, n_per_scene, rng=rng)
        for number, picture in enumerate(pictures):
            (category / f"{number:04d}.jpg").write_bytes(picture)
        n_written += len(pictures)
        progress("labelled pictures", (index + 1) / len(source.scenes))
    return n_written
