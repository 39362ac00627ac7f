"""Files of a simulated world: the dataset contract, and the truth behind it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.simulator.behaviour import examination
from training.simulator.customers import Customers
from training.simulator.destinations import Destination, Scene
from training.simulator.parameters import ATTRIBUTES, CATEGORIES, DEVICES, MARKETS, VARIANTS
from training.simulator.period import Period
from training.simulator.sales import Sales
from training.simulator.simulation import KINDS, PURCHASE, VIEW, Events, History, World, WorldTruth

_TIME = pl.Datetime("us", "UTC")


def sale_names(n_sales: int) -> pl.Series:
    """Return the ids of sales in the order of their rows."""
    return _names("s", np.arange(n_sales), 6)


def write_sales(
    folder: Path,
    sales: Sales,
    *,
    period: Period,
    destinations: Sequence[Destination],
    texts: tuple[list[str], list[str]],
) -> None:
    """Write ``sales.parquet``; a sale that sells out after the period is not sold out yet.

    Args:
        folder: Where to write.
        sales: The sales.
        period: Simulated time.
        destinations: Destinations of the world.
        texts: Titles and descriptions.
    """
    places: list[Destination] = [destinations[int(row)] for row in sales.destination]
    ids = sale_names(len(sales))
    sold_out = (sales.ends_us < sales.closes_us) & (sales.ends_us <= period.end_us)
    frame = pl.DataFrame(
        {
            "sale_id": ids,
            "title": texts[0],
            "description": texts[1],
            "destination": [place.name for place in places],
            "country": [place.country for place in places],
            "category": [CATEGORIES[int(row)] for row in sales.category],
            "price": sales.price,
            "original_price": sales.original_price,
            "currency": ["EUR"] * len(sales),
            "margin": np.round(sales.price * sales.margin, 2),
            "markets": _market_lists(sales),
            "opens_at": _times(sales.opens_us),
            "closes_at": _times(sales.closes_us),
            "sold_out_at": _times(sales.ends_us).set(pl.Series(~sold_out), None),
            "stock": sales.stock,
            "image": ids + ".jpg",
        }
    )
    frame.write_parquet(folder / "sales.parquet")


def write_customers(folder: Path, customers: Customers) -> None:
    """Write ``customers.parquet``.

    Args:
        folder: Where to write.
        customers: The customers.
    """
    frame = pl.DataFrame(
        {
            "customer_id": _names("c", np.arange(len(customers)), 7),
            "market": _labels(MARKETS, customers.market),
            "device": _labels(DEVICES, customers.device),
            "joined_at": _times(customers.joined_us),
        }
    )
    frame.write_parquet(folder / "customers.parquet")


def write_events(
    folder: Path, world: World, *, history: History, rng: np.random.Generator
) -> dict[str, int]:
    """Write ``events.parquet``, ordered by ``at``: the events received until the period's end.

    Args:
        folder: Where to write.
        world: The world.
        history: The simulation's results.
        rng: Source of the quantities bought.

    Returns:
        The number of events of each type.
    """
    events = _received(history.events, world.period)
    visit, n_events = events.visit, len(events.kind)
    price = world.sales.price[events.sale]
    slate = pl.Series(events.kind != KINDS.index(VIEW))
    bought = pl.Series(events.kind == KINDS.index(PURCHASE))
    quantity = 1 + rng.poisson(0.8, size=n_events)
    customer = world.visits.customer[visit]
    variant = _labels(VARIANTS, history.uniform[visit].astype(np.int64))
    frame = pl.DataFrame(
        {
            "event_id": _names("e", np.arange(n_events), 9),
            "customer_id": _names("c", customer, 7),
            "session_id": _names("v", visit, 8),
            "type": _labels(KINDS, events.kind),
            "sale_id": sale_names(len(world.sales)).gather(events.sale),
            "at": _times(events.at_us),
            "received_at": _times(events.received_us),
            "exposure_id": _names("x", visit, 8).set(~slate, None),
            "position": pl.Series(events.position, dtype=pl.Int32).set(~slate, None),
            "price": price,
            "quantity": pl.Series(quantity, dtype=pl.Int32).set(~bought, None),
            "revenue": pl.Series(price * quantity).set(~bought, None),
            "market": _labels(MARKETS, world.customers.market[customer]),
            "device": _labels(DEVICES, world.visits.device[visit]),
            "propensity": pl.Series(events.propensity).set(~slate, None),
            "variant": variant.set(~slate, None),
        }
    )
    frame.write_parquet(folder / "events.parquet")
    counts = np.bincount(events.kind, minlength=len(KINDS))
    return dict(zip(KINDS, counts.tolist(), strict=True))


def _received(events: Events, period: Period) -> Events:
    kept = np.flatnonzero(events.received_us <= period.end_us)
    order = kept[np.lexsort((events.position[kept], events.visit[kept], events.at_us[kept]))]
    return Events(**{name: column[order] for name, column in vars(events).items()})


def write_truth(folder: Path, world: World, *, truth: WorldTruth) -> None:
    """Write ``truth.parquet``: for evaluation only, one row per visit.

    Args:
        folder: Where to write.
        world: The world.
        truth: The truth, ordered by visit.
    """
    flat = pl.DataFrame(
        {
            "visit": truth.visit,
            "sale_ids": sale_names(len(world.sales)).gather(truth.sale),
            "truth": truth.truth,
            "knowable": truth.knowable,
        }
    )
    lists = flat.group_by("visit", maintain_order=True).agg(pl.all())
    visit = lists["visit"].to_numpy()
    customer = world.visits.customer[visit]
    frame = lists.select(
        _names("x", visit, 8).alias("exposure_id"),
        _names("c", customer, 7).alias("customer_id"),
        _names("v", visit, 8).alias("session_id"),
        _times(world.visits.at_us[visit]).alias("at"),
        _labels(MARKETS, world.customers.market[customer]).alias("market"),
        "sale_ids",
        "truth",
        "knowable",
    )
    frame.write_parquet(folder / "truth.parquet")


def write_position_truth(folder: Path, n_positions: int) -> None:
    """Write ``truth_positions.parquet``: for evaluation only, P(examined | seen) by position.

    Args:
        folder: Where to write.
        n_positions: Positions of a slate.
    """
    positions = pl.Series(range(1, n_positions + 1), dtype=pl.Int32)
    frame = pl.DataFrame({"position": positions, "examined": examination(n_positions)})
    frame.write_parquet(folder / "truth_positions.parquet")


def write_sale_truth(
    folder: Path, sales: Sales, *, scenes: Sequence[Scene], attributes: NDArray[np.float64]
) -> None:
    """Write ``truth_sales.parquet``: for evaluation only, scene and attributes of each picture.

    Args:
        folder: Where to write.
        sales: The sales.
        scenes: Scenes of the world.
        attributes: Standardised picture attributes, shape ``(n_sales, n_attributes)``.
    """
    measured = {name: attributes[:, column] for column, name in enumerate(ATTRIBUTES)}
    frame = pl.DataFrame(
        {
            "sale_id": sale_names(len(sales)),
            "scene": [scenes[int(scene)].name for scene in sales.scene],
            **measured,
        }
    )
    frame.write_parquet(folder / "truth_sales.parquet")


def _market_lists(sales: Sales) -> list[list[str]]:
    return [
        [market for column, market in enumerate(MARKETS) if sales.markets[row, column]]
        for row in range(len(sales))
    ]


def _names(prefix: str, numbers: NDArray[np.int64], width: int) -> pl.Series:
    padded = pl.Series(numbers).cast(pl.String).str.zfill(width)
    return pl.select(pl.lit(prefix) + padded).to_series()


def _labels(labels: Sequence[str], codes: NDArray[np.int64]) -> pl.Series:
    return pl.Series(labels, dtype=pl.String).gather(codes)


def _times(moments_us: NDArray[np.int64]) -> pl.Series:
    return pl.Series(moments_us, dtype=pl.Int64).cast(_TIME)
