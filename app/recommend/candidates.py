"""Ineligible candidates: reasons for which sales of the caller's list may not be shown."""

from dataclasses import dataclass
from enum import StrEnum

from app.recommend.request import RankingRequest
from models.catalogue.catalogue import Catalogue


class Obstacle(StrEnum):
    """Reason for which a sale of the caller may not be shown."""

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


def left_out(asked: RankingRequest) -> tuple[LeftOut, ...]:
    """Return the caller's candidates that may not be shown, in the caller's order."""
    sale_ids = asked.request.choice.sale_ids or ()
    if asked.served is None:
        return tuple(LeftOut(sale_id, Obstacle.UNKNOWN) for sale_id in sale_ids)
    now_us, catalogue = asked.state.now_us, asked.served.catalogue
    eligible: set[int | None] = set()
    if sale_ids:
        eligible.update(asked.served.eligible_sales.at(asked.request.market, now_us).rows.tolist())
    rows = [(sale_id, catalogue.row_for(sale_id)) for sale_id in sale_ids]
    return tuple(
        LeftOut(sale_id, _obstacle(catalogue, row, now_us=now_us))
        for sale_id, row in rows
        if row not in eligible
    )


def _obstacle(catalogue: Catalogue, row: int | None, *, now_us: int) -> Obstacle:
    if row is None:
        return Obstacle.UNKNOWN
    # A sold-out sale closes before its scheduled closing.
    if now_us >= catalogue.scheduled_us[row]:
        return Obstacle.CLOSED
    if now_us >= catalogue.closes_us[row]:
        return Obstacle.SOLD_OUT
    if now_us < catalogue.opens_us[row]:
        return Obstacle.NOT_YET_OPEN
    return Obstacle.OTHER_MARKET
