"""Paged list of sales."""

from dataclasses import dataclass

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.domain.sale import Sale


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Filter and position of a page.

    Attributes:
        after: Key of the last sale of the page before; None for the first page.
        limit: Number of sales at most.
        market: Only sales of this market; None for any.
        is_open: Only open sales, only closed ones, or, with None, both.
    """

    after: int | None
    limit: int
    market: str | None
    is_open: bool | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of sales, in the order of their keys.

    Attributes:
        sales: The sales.
        are_open: Whether each can be bought now, in the market of the filter, or in any.
        last: Key of the last sale if others follow; else None.
    """

    sales: tuple[Sale, ...]
    are_open: tuple[bool, ...]
    last: int | None


def page(catalogue: Catalogue, wanted: ListQuery, *, now_us: int) -> Page:
    """Return the page of sales after a key.

    Keys never change: a sale that exists from the first page to the last is on exactly one of
    them, even if other sales are added or deleted meanwhile.
    """
    opened = np.zeros(len(catalogue), dtype=np.bool_)
    opened[catalogue.eligible(wanted.market, now_us)] = True
    shown = np.ones_like(opened) if wanted.is_open is None else opened == wanted.is_open
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
