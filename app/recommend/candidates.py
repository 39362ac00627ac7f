"""Which sales may be shown to a customer now, and why others may not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.recommend.request import Choice
from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import Offer


class Obstacle(StrEnum):
    """Why a sale that the caller asked for may not be shown."""

    UNKNOWN = "unknown"
    NOT_YET_OPEN = "not_yet_open"
    CLOSED = "closed"
    SOLD_OUT = "sold_out"
    OTHER_MARKET = "other_market"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A sale that the caller asked for, and that may not be shown."""

    sale_id: str
    reason: Obstacle


def candidates(offer: Offer, *, exclude: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows that may be shown: on offer, and not excluded by the caller.

    Args:
        offer: What is on offer to the customer.
        exclude: Sale ids that the caller does not want; unknown ones change nothing.

    Returns:
        Rows in ascending order, shape ``(n_candidates,)``; the offer's own where nothing is
        excluded.
    """
    if not exclude:
        return offer.rows
    excluded = [row for row in map(offer.catalogue.row_of, exclude) if row is not None]
    return offer.rows[~np.isin(offer.rows, excluded)]


def chosen(rows: NDArray[np.int64], catalogue: Catalogue, *, choice: Choice) -> NDArray[np.int64]:
    """Return those of the rows that the caller chose.

    Args:
        rows: Rows that may be shown, ascending.
        catalogue: Whose rows.
        choice: The caller's own candidates; unknown ones change nothing.

    Returns:
        Rows in the caller's order where that says something, else ascending, so that the
        order in which he happens to name sales decides nothing.
    """
    found = [row for row in map(catalogue.row_of, choice.sale_ids) if row is not None]
    asked = np.array(found, dtype=np.int64)
    kept = asked[np.isin(asked, rows)]
    return kept if choice.is_ordered else np.sort(kept)


def left_out(offer: Offer | None, now_us: int, *, choice: Choice) -> tuple[LeftOut, ...]:
    """Return the caller's candidates that may not be shown, in his order, each with why."""
    if offer is None:
        return tuple(LeftOut(sale_id, Obstacle.UNKNOWN) for sale_id in choice.sale_ids)
    catalogue, eligible = offer.catalogue, set(offer.rows.tolist())
    rows = [(sale_id, catalogue.row_of(sale_id)) for sale_id in choice.sale_ids]
    return tuple(
        LeftOut(sale_id, _obstacle(catalogue, row, now_us=now_us))
        for sale_id, row in rows
        if row not in eligible
    )


def _obstacle(catalogue: Catalogue, row: int | None, *, now_us: int) -> Obstacle:
    if row is None:
        return Obstacle.UNKNOWN
    if now_us >= catalogue.scheduled_us[row]:
        return Obstacle.CLOSED
    if now_us >= catalogue.closes_us[row]:
        return Obstacle.SOLD_OUT
    if now_us < catalogue.opens_us[row]:
        return Obstacle.NOT_YET_OPEN
    return Obstacle.OTHER_MARKET
