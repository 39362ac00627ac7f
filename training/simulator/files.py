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


def customer_names(customers: NDArray[np.int64]) -> pl.Series:
    """Return the ids of customers by their rows."""
    return _names("c", customers, 7)


def answer_names(visits: NDArray[np.int64]) -> pl.Series:
    """Return the ids of the answers at visits, by the rows of the visits."""
    return _names("x", visits, 8)


def write_sales(
    folder: Path,
    sales: Sales,
    *,
    period: Period,
    destinations: Sequence[Destination],
    texts: tuple[list[str], list[str]],
) -> None:
    """Write ``sales.parquet``; ``texts`` are titles and descriptions."""
    places: list[Destination] = [destinations[int(row)] for row in sales.destination]
    ids = sale_names(len(sales))
    # A sale that sells out after the period is not sold out yet.
    sold_out = (sales.ends_us < sales.closes_us) & (sales.ends_us <= period.end_us)
    market_lists = [
        [market for market, sold in zip(MARKETS, row, strict=True) if sold] for row in sales.markets
    ]
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
            "markets": market_lists,
            "opens_at": _times(sales.opens_us),
            "closes_at": _times(sales.closes_us),
            "sold_out_at": _times(sales.ends_us).set(pl.Series(~sold_out), None),
            "stock": sales.stock,
            "image": ids + ".jpg",
        }
    )
    frame.write_parquet(folder / "sales.parquet")


def write_customers(folder: Path, customers: Customers) -> None:
    """Write ``customers.parquet``."""
    frame = pl.DataFrame(
        {
            "customer_id": customer_names(np.arange(len(customers))),
            "market": _labels(MARKETS, customers.market),
            "device": _labels(DEVICES, customers.device),
        }
    )
    frame.write_parquet(folder / "customers.parquet")


def write_events(
    folder: Path, world: World, *, history: History, rng: np.random.Generator
) -> dict[str, int]:
    """Write ``events.parquet``: the events received until the period's end.

    Returns:
        The number of events of each type.
    """
    frame = event_frame(
        world, history.events, uniform=history.uniform, until_us=world.period.end_us, rng=rng
    )
    frame.write_parquet(folder / "events.parquet")
    counts = frame["type"].value_counts()
    return dict.fromkeys(KINDS, 0) | dict(counts.iter_rows())


def event_frame(
    world: World,
    everything: Events,
    *,
    uniform: NDArray[np.bool_],
    until_us: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return the events received until a moment as the dataset has them, ordered by ``at``.

    Args:
        world: The world.
        everything: What happened, in any order.
        uniform: Whether each visit's slate was drawn uniformly, shape ``(n_visits,)``.
        until_us: The moment, microseconds.
        rng: Draws quantities.
    """
    kept = np.flatnonzero(everything.received_us <= until_us)
    # The impressions of a slate share a moment: they stand by position.
    keys = (everything.position[kept], everything.visit[kept], everything.at_us[kept])
    order = kept[np.lexsort(keys)]
    events = Events(**{name: column[order] for name, column in vars(everything).items()})
    visit, n_events = events.visit, len(events.kind)
    price = world.sales.price[events.sale]
    slate = pl.Series(events.kind != KINDS.index(VIEW))
    bought = pl.Series(events.kind == KINDS.index(PURCHASE))
    # Drawn for every event, so that a draw does not depend on which events are purchases.
    quantity = 1 + rng.poisson(0.8, size=n_events)
    customer = world.visits.customer[visit]
    variant = _labels(VARIANTS, uniform[visit].astype(np.int64))
    return pl.DataFrame(
        {
            "event_id": _names("e", np.arange(n_events), 9),
            "customer_id": customer_names(customer),
            "session_id": _names("v", visit, 8),
            "type": _labels(KINDS, events.kind),
            "sale_id": sale_names(len(world.sales)).gather(events.sale),
            "at": _times(events.at_us),
            "received_at": _times(events.received_us),
            "exposure_id": answer_names(visit).set(~slate, None),
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


def write_truth(folder: Path, world: World, *, truth: WorldTruth) -> None:
    """Write ``truth.parquet``, which only evaluation reads: a row per visit, as in ``truth``."""
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
        answer_names(visit).alias("exposure_id"),
        customer_names(customer).alias("customer_id"),
        _names("v", visit, 8).alias("session_id"),
        _times(world.visits.at_us[visit]).alias("at"),
        _labels(MARKETS, world.customers.market[customer]).alias("market"),
        "sale_ids",
        "truth",
        "knowable",
    )
    frame.write_parquet(folder / "truth.parquet")


def write_position_truth(folder: Path, n_positions: int, *, curve: str) -> None:
    """Write ``truth_positions.parquet``, for evaluation only: P(examined | seen) by position."""
    positions = pl.Series(range(1, n_positions + 1), dtype=pl.Int32)
    frame = pl.DataFrame({"position": positions, "examined": examination(n_positions, curve)})
    frame.write_parquet(folder / "truth_positions.parquet")


def write_sale_truth(
    folder: Path, sales: Sales, *, scenes: Sequence[Scene], attributes: NDArray[np.float64]
) -> None:
    """Write ``truth_sales.parquet``, for evaluation only: scene and attributes of each picture.

    Attributes are standardised, shape ``(n_sales, n_attributes)``.
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


def _names(prefix: str, numbers: NDArray[np.int64], width: int) -> pl.Series:
    padded = pl.Series(numbers).cast(pl.String).str.zfill(width)
    return pl.select(pl.lit(prefix) + padded).to_series()


def _labels(labels: Sequence[str], codes: NDArray[np.int64]) -> pl.Series:
    return pl.Series(labels, dtype=pl.String).gather(codes)


def _times(moments_us: NDArray[np.int64]) -> pl.Series:
    return pl.Series(moments_us, dtype=pl.Int64).cast(_TIME)
