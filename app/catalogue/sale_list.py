"""The sales of the catalogue, page by page."""

from dataclasses import dataclass

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.domain.sale import Sale


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which sales a page shall hold.

    Attributes:
        after: Key of the last sale of the page before; None for the first page.
        limit: How many at most.
        market: Only sales of this market; None takes any.
        is_open: Only open ones, only closed ones, or, with None, both.
    """

    after: int | None
    limit: int
    market: str | None
    is_open: bool | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some sales, in the order of their keys.

    Attributes:
        sales: The sales.
        are_open: Whether each can be bought now, in the market asked for, or in any.
        last: Key of the last one, where others follow; else None.
    """

    sales: tuple[Sale, ...]
    are_open: tuple[bool, ...]
    last: int | None


def page(catalogue: Catalogue, wanted: ListQuery, *, now_us: int) -> Page:
    """Return the sales that follow a key.

    Keys never change: a sale that is there from the first page to the last stands on exactly
    one of them, whatever comes and goes meanwhile.
    """
    opened = np.zeros(len(catalogue), dtype=np.bool_)
    opened[catalogue.eligible(wanted.market, now_us)] = True
    shown = (
        np.ones(len(catalogue), dtype=np.bool_)
        if wanted.is_open is None
        else (opened == wanted.is_open)
    )
    if wanted.market is not None:
        shown &= (catalogue.markets.bits & catalogue.markets.bit(wanted.market)) != 0
    if wanted.after is not None:
        shown &= catalogue.keys > np.uint64(wanted.after)
    rows: list[int] = np.flatnonzero(shown)[: wanted.limit + 1].tolist()
    kept = rows[: wanted.limit]
    return Page(
        sales=tuple(catalogue.sales[row] for row in kept),
        are_open=tuple(opened[kept].tolist()),
        last=int(catalogue.keys[kept[-1]]) if len(rows) > len(kept) else None,
    )
