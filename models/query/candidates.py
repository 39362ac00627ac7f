"""Candidate sales of an answer: the eligible sales, restricted by the caller.

Serving, replay and the parity check select candidates here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.eligible_sales import EligibleSales
from models.domain.customer import Window
from models.domain.profile import Profile
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query

# Low bits of a sale key that `CallerChoice.seen` leaves out. Of a thousand seen sales and 100,000
# others, two share the rest with probability 1e-4.
SEEN_SHIFT: Final = 24


@dataclass(frozen=True, slots=True)
class CallerChoice:
    """Restriction of the candidates by the caller: excluded sales, and an optional list to rank.

    Unknown ids are ignored.

    Attributes:
        exclude: Sale ids that must not be shown.
        sale_ids: The caller's own candidates, each once; None for all eligible sales.
        is_ordered: Whether ``sale_ids`` is a ranking by the caller: it then breaks ties between
            equal scores, and is the order of the answer if no model can score.
        seen: Upper 40 bits of the keys of sales that earlier pages showed.
    """

    exclude: Sequence[str] = ()
    sale_ids: Sequence[str] | None = None
    is_ordered: bool = False
    seen: Sequence[int] = ()

    def rows(self, eligible: EligibleSales) -> NDArray[np.int64]:
        """Return the catalogue rows of the candidates, shape ``(n_candidates,)``.

        They are in the caller's order if ``is_ordered``, otherwise ascending, so that an
        unordered list gives the same answer in any order. If nothing is excluded or chosen, the
        array is ``eligible.rows`` itself, so that the query can use its cache.
        """
        rows, row_for = eligible.rows, eligible.catalogue.row_for
        if self.exclude:
            excluded = [row for row in map(row_for, self.exclude) if row is not None]
            rows = rows[~np.isin(rows, excluded)]
        if self.seen:
            rows = rows[~self._is_seen(eligible, rows)]
        if self.sale_ids is None:
            return rows
        found = [row for row in map(row_for, self.sale_ids) if row is not None]
        named = np.array(found, dtype=np.int64)
        kept = named[np.isin(named, rows)]
        return kept if self.is_ordered else np.sort(kept)

    def seen_ids(self, eligible: EligibleSales) -> tuple[str, ...]:
        """Return the ids of the eligible sales that earlier pages showed."""
        if not self.seen:
            return ()
        seen: list[int] = eligible.rows[self._is_seen(eligible, eligible.rows)].tolist()
        return tuple([eligible.catalogue.sales[row].sale_id for row in seen])

    def _is_seen(self, eligible: EligibleSales, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        short_keys = eligible.catalogue.keys[rows] >> np.uint64(SEEN_SHIFT)
        return np.isin(short_keys, np.array(self.seen, dtype=np.uint64))


def candidate_query(
    eligible: EligibleSales,
    context: Context,
    *,
    window: Window,
    profile: Profile,
    choice: CallerChoice,
) -> Query:
    """Return the query of an answer.

    Args:
        eligible: The eligible sales of the market at the time of the request.
        context: Time, market and device.
        window: The customer's window.
        profile: The customer's profile.
        choice: What the caller excludes or wants to have ranked.
    """
    # The same object as `eligible.rows` without a choice: only then is the cache shared.
    rows = choice.rows(eligible)
    return Query(
        window=window,
        profile=profile,
        catalogue=eligible.catalogue,
        context=context,
        rows=rows,
        caller_list=CallerCandidates.from_rows(eligible.catalogue, rows)
        if choice.is_ordered
        else None,
        eligible=eligible,
    )
