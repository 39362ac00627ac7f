"""Candidates of an answer: the eligible sales, less those that the caller excludes or leaves out.

The service, the replay of its answers and the check of parity choose candidates here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.catalogue.eligible_sales import EligibleSales
from models.domain.customer import Window
from models.domain.profile import Profile
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query


@dataclass(frozen=True, slots=True)
class CallerChoice:
    """The sales that a caller excludes, and those that the caller wants to have ranked.

    Ids that the catalogue does not know change nothing.

    Attributes:
        exclude: Sale ids that must not be shown.
        sale_ids: The caller's own candidates, each once; None for all eligible sales.
        is_ordered: Whether their order carries meaning: it then decides between sales that are
            scored alike, and is the order of the answer where no model can score.
    """

    exclude: Sequence[str] = ()
    sale_ids: Sequence[str] | None = None
    is_ordered: bool = False

    def rows(self, eligible: EligibleSales) -> NDArray[np.int64]:
        """Return the catalogue rows of the candidates, shape ``(n_candidates,)``.

        In the caller's order where it carries meaning, else ascending, so that the order in
        which a caller happens to name sales decides nothing. The array is that of ``eligible``
        if nothing is excluded or chosen, so that the query shares its cache.
        """
        rows, row_for = eligible.rows, eligible.catalogue.row_for
        if self.exclude:
            excluded = [row for row in map(row_for, self.exclude) if row is not None]
            rows = rows[~np.isin(rows, excluded)]
        if self.sale_ids is None:
            return rows
        found = [row for row in map(row_for, self.sale_ids) if row is not None]
        named = np.array(found, dtype=np.int64)
        kept = named[np.isin(named, rows)]
        return kept if self.is_ordered else np.sort(kept)


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
    rows = choice.rows(eligible)
    return Query(
        window=window,
        profile=profile,
        catalogue=eligible.catalogue,
        context=context,
        rows=rows,
        listing=CallerCandidates.from_rows(eligible.catalogue, rows) if choice.is_ordered else None,
        eligible=eligible,
    )
