"""Pages: named rows of sales from one scoring, none of which repeats a sale of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import NEVER_US
from models.catalogue.columns import TEXT_COLUMNS
from models.domain.event import CLICK, PURCHASE, VIEW
from models.domain.purchase_history import PurchaseHistory
from models.domain.units import HOUR_US
from models.query.query import Query
from models.rules.field import Subject
from models.rules.rule import SlateRule, SlateRules, request_filter
from models.slate.exploration import Slate

_LOOKED: Final = (VIEW, CLICK)
_BOUGHT: Final = (PURCHASE,)
_CATEGORY, _COUNTRY, _DESTINATION = map(TEXT_COLUMNS.index, ("category", "country", "destination"))


class RowKind(StrEnum):
    """Which sales a row is about."""

    FOR_YOU = "for_you"
    """All that may be shown."""
    OPENING_NOW = "opening_now"
    """Those that opened within the row's `hours`."""
    CLOSING_SOON = "closing_soon"
    """Those whose announced closing is within the row's `hours`."""
    BECAUSE_YOU_LOOKED = "because_you_looked"
    """Those like the sale that the customer last viewed or clicked."""
    LIKE_WHAT_YOU_BOUGHT = "like_what_you_bought"
    """Those like the sale that the customer last bought."""


@dataclass(frozen=True, slots=True)
class PageRow:
    """Row of a page, as it was asked for.

    Attributes:
        name: Of the caller.
        kind: Which sales it is about.
        limit: Number of sales wanted.
        hours: Of `OPENING_NOW` and `CLOSING_SOON`.
        filter: Condition on its sales; None for none.
        order_by: A policy of the bundle that orders it, if the bundle has it; None for that of the
            visit.
        min_items: With fewer it is empty, and its sales may stand in later rows.
        diversity: Weight of being unlike what stands above; None for that of the visit.
        rules: JSON of rules that hold in it alone, behind those of the visit; None for none.
    """

    name: str
    kind: RowKind = RowKind.FOR_YOU
    limit: int = 10
    hours: float = 24.0
    filter: str | None = None
    order_by: str | None = None
    min_items: int = 1
    diversity: float | None = None
    rules: str | None = None

    @property
    def own_rules(self) -> tuple[SlateRule, ...]:
        """The rules that hold in it alone, under the names ``row/rule``.

        Rules of other rows, and of the plan, may have the same.
        """
        given = () if self.rules is None else SlateRules.from_record(self.rules).root
        return tuple(rule.model_copy(update={"name": f"{self.name}/{rule.name}"}) for rule in given)


@dataclass(frozen=True, slots=True, eq=False)
class FilledRow:
    """A row with its sales.

    Attributes:
        slate: Indices of candidates of the whole page, and their propensities given the rows above.
        because_of: Catalogue row of the sale that its sales are like; None for other kinds, and if
            there is none.
    """

    slate: Slate
    because_of: int | None


@dataclass(frozen=True, eq=False)
class PageSlate:
    """A filled page.

    Attributes:
        rows: In the order asked for.
    """

    rows: tuple[FilledRow, ...]

    @cached_property
    def slate(self) -> Slate:
        """All rows as one slate, from the top."""
        slates = [row.slate for row in self.rows]
        return Slate(
            np.concatenate([one.picks for one in slates]),
            np.concatenate([one.propensities for one in slates]),
            np.concatenate([one.unexplored for one in slates]),
            rules=tuple([names for one in slates for names in one.rules or [()] * len(one.picks)]),
            unmet=tuple(dict.fromkeys(name for one in slates for name in one.unmet)),
        )

    @classmethod
    def fill(
        cls,
        query: Query,
        rows: Sequence[PageRow],
        *,
        select: Callable[[int, NDArray[np.intp]], Slate],
    ) -> Self:
        """Fill the rows of a page from the top.

        Args:
            query: The query of the page.
            rows: At least one.
            select: Makes the slate of a row, by its place from 0, from candidates; its indices are
                those of the candidates given.
        """
        is_free = np.ones(len(query.rows), dtype=np.bool_)
        filled: list[FilledRow] = []
        for place, row in enumerate(rows):
            because_of, matching = candidates_of(row, query)
            indices = np.flatnonzero(matching & is_free)
            slate = select(place, indices)
            # Of the certain slate: whether a row is shown may depend on no draw.
            if len(slate.unexplored) < row.min_items:
                slate = slate.emptied()
            slate = Slate(
                indices[slate.picks],
                slate.propensities,
                indices[slate.unexplored],
                rules=slate.rules,
                unmet=slate.unmet,
                shares=slate.shares,
            )
            is_free[slate.picks] = False
            filled.append(FilledRow(slate, because_of))
        return cls(tuple(filled))


def candidates_of(row: PageRow, query: Query) -> tuple[int | None, NDArray[np.bool_]]:
    """Return which candidates a row is about, before those of rows above are left out.

    Args:
        row: The row.
        query: The query of the page.

    Returns:
        Catalogue row of the sale that they are like, None for other kinds and if there is none;
        and a mask of the candidates, shape ``(n,)``.
    """
    because_of, matching = _of_kind(row, query)
    if row.filter is not None:
        condition = request_filter(row.filter).condition
        if condition is not None:
            matching = matching & condition.matches(Subject(query))
    return because_of, matching


def _of_kind(row: PageRow, query: Query) -> tuple[int | None, NDArray[np.bool_]]:
    catalogue, now_us, within_us = query.catalogue, query.context.now_us, row.hours * HOUR_US
    match row.kind:
        case RowKind.FOR_YOU:
            return None, np.ones(len(query.rows), dtype=np.bool_)
        case RowKind.OPENING_NOW:
            return None, catalogue.opens_us[query.rows] > now_us - within_us
        case RowKind.CLOSING_SOON:
            closes_us = catalogue.scheduled_us[query.rows]
            return None, (closes_us <= now_us + within_us) & (closes_us != NEVER_US)
        case RowKind.BECAUSE_YOU_LOOKED:
            return _like(_last(query, _LOOKED), query)
        case RowKind.LIKE_WHAT_YOU_BOUGHT:
            last = _last(query, _BOUGHT)
            return _like(_last_of_profile(query) if last is None else last, query)


def _last(query: Query, kinds: Sequence[int]) -> int | None:
    """Return the catalogue row of the last event of some kinds; None if there is none."""
    history = query.history
    of_kinds = np.zeros(len(history), dtype=np.bool_)
    for kind in kinds:
        of_kinds |= history.kinds == kind
    found: NDArray[np.int64] = history.rows[of_kinds]
    return int(found[-1]) if len(found) else None


def _last_of_profile(query: Query) -> int | None:
    bought = PurchaseHistory.unpack(query.profile.bought)
    rows = query.catalogue.rows_for(bought.sale_keys)
    known = np.flatnonzero(rows >= 0)
    if not len(known):
        return None
    return int(rows[known[bought.last_days[known].argmax()]])


def _like(row: int | None, query: Query) -> tuple[int | None, NDArray[np.bool_]]:
    """Return which candidates are like a sale of the catalogue, without itself.

    They have its destination, its category in its country, or one of the nearest pictures.
    """
    if row is None:
        return None, np.zeros(len(query.rows), dtype=np.bool_)
    catalogue, near = query.catalogue, query.catalogue.neighbours
    codes = catalogue.vocabulary.codes
    is_same = (codes[query.rows] == codes[row]) & (codes[row] != 0)
    alike = is_same[:, _DESTINATION] | (is_same[:, _CATEGORY] & is_same[:, _COUNTRY])
    # Candidates are in ascending order, as a page has no list of its caller.
    nearest: NDArray[np.int64] = near.rows[row][near.similarities[row] > 0]
    found: NDArray[np.intp] = query.rows.searchsorted(nearest)
    places = np.minimum(found, len(query.rows) - 1)
    alike[places[query.rows[places] == nearest]] = True
    return row, alike & (query.rows != row)
