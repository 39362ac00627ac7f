"""Ineligible candidates: reasons for which sales of the caller's list may not be shown."""

from collections.abc import Collection
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
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A sale that the caller asked for, and that may not be shown."""

    sale_id: str
    reason: Obstacle


def left_out(asked: RankingRequest, shown: Collection[str]) -> tuple[LeftOut, ...]:
    """Return the caller's candidates that may not be shown, in the caller's order.

    Args:
        asked: The request.
        shown: The slate. Of an answer with less than the caller's limit, rules leave out the rest.
    """
    sale_ids = asked.request.choice.sale_ids or ()
    if asked.served is None:
        return tuple(LeftOut(sale_id, Obstacle.UNKNOWN) for sale_id in sale_ids)
    now_us, catalogue = asked.state.now_us, asked.served.catalogue
    eligible: set[int | None] = set()
    if sale_ids:
        eligible.update(asked.served.eligible_sales.at(asked.request.market, now_us).rows.tolist())
    is_short = len(shown) < asked.request.limit
    found: list[LeftOut] = []
    for sale_id in sale_ids:
        row = catalogue.row_for(sale_id)
        if row not in eligible:
            found.append(LeftOut(sale_id, _obstacle(catalogue, row, now_us=now_us)))
        elif is_short and sale_id not in shown:
            found.append(LeftOut(sale_id, Obstacle.RULE))
    return tuple(found)


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
