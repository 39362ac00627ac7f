"""Builds small event logs and catalogues in memory for tests of training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue, build_catalogue
from models.dataset.events import EventTable
from models.dataset.merges import MergeTable
from models.domain.event import from_us
from models.domain.sale import Sale
from models.pictures.topics import Topics

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

NOON: Final = 1_750_075_200_000_000
"""2025-06-16 12:00 UTC, a Monday; a whole hour."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event; times are microseconds after `NOON`, received at once unless said."""

    kind: str = "view"
    at: int = 0
    received: int | None = None
    customer: str = "c1"
    sale: str = "s1"
    session: str | None = None
    exposure: str | None = None
    position: int | None = None
    cover: int | None = None
    market: str | None = None
    device: str | None = None
    quantity: int | None = None
    revenue: float | None = None

    @property
    def at_us(self) -> int:
        """When it happened, microseconds since the epoch."""
        return NOON + self.at

    @property
    def received_us(self) -> int:
        """When it was received, microseconds since the epoch."""
        return self.at_us if self.received is None else NOON + self.received


SCHEMA: Final = {
    "event_id": pl.String,
    "customer_id": pl.String,
    "session_id": pl.String,
    "type": pl.String,
    "sale_id": pl.String,
    "at": pl.Int64,
    "received_us": pl.Int64,
    "exposure_id": pl.String,
    "position": pl.Int64,
    "cover": pl.Int64,
    "price": pl.Float64,
    "quantity": pl.Int64,
    "revenue": pl.Float64,
    "market": pl.String,
    "device": pl.String,
    "propensity": pl.Float64,
    "variant": pl.String,
}


def event_id(index: int) -> str:
    """Return the id of a log's event by its place in the log."""
    return f"e{index}"


def event_table(rows: Iterable[Row]) -> EventTable:
    """Build the table of a log."""
    columns = [
        {
            "event_id": event_id(index),
            "customer_id": row.customer,
            "session_id": row.session,
            "type": row.kind,
            "sale_id": row.sale,
            "at": row.at_us,
            "received_us": row.received_us,
            "exposure_id": row.exposure,
            "position": row.position,
            "cover": row.cover,
            "market": row.market,
            "device": row.device,
            "quantity": row.quantity,
            "revenue": row.revenue,
        }
        for index, row in enumerate(rows)
    ]
    return EventTable.from_frame(pl.DataFrame(columns, schema=SCHEMA))


def merged_log(log: list[Row], merges: Sequence[tuple[str, str, int]]) -> EventTable:
    """Build the table of a log whose guests were merged, at microseconds after `NOON`."""
    guests, customers, at = zip(*sorted(merges), strict=True)
    table = MergeTable(pl.Series(guests), pl.Series(customers), NOON + np.array(at))
    return replace(event_table(log), merges=table)


def sale(sale_id: str, **fields: object) -> Sale:
    """Return a sale that opened ten days before `NOON` and stays open for twenty."""
    times = {"opens_at": from_us(NOON - 10 * DAY), "closes_at": from_us(NOON + 10 * DAY)}
    return Sale.model_validate({"sale_id": sale_id, **times, **fields})


def catalogue(*sales: str | Sale) -> Catalogue:
    """Build a catalogue without pictures of sales, or of ids of plain ones."""
    known = [sale(one) if isinstance(one, str) else one for one in sales]
    return build_catalogue(known, {}, topics=Topics.none())


def ids_of(shop: Catalogue, rows: NDArray[np.int64]) -> list[str]:
    """Return the sale ids of catalogue rows."""
    numbers: list[int] = rows.tolist()
    return [shop.sales[row].sale_id for row in numbers]
