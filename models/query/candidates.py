"""Candidates of an answer: the eligible sales, less those that the caller excludes or leaves out.

The service, the replay of its answers and the check of parity choose candidates here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.catalogue.eligible_sales import Offer
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

    def rows(self, offer: Offer) -> NDArray[np.int64]:
        """Return the catalogue rows of the candidates, shape ``(n_candidates,)``.

        In the caller's order where it carries meaning, else ascending, so that the order in
        which a caller happens to name sales decides nothing. The array is the offer's own where
        nothing is excluded or chosen: what is remembered of an offer is found by it.
        """
        rows, row_of = offer.rows, offer.catalogue.row_of
        if self.exclude:
            excluded = [row for row in map(row_of, self.exclude) if row is not None]
            rows = rows[~np.isin(rows, excluded)]
        if self.sale_ids is None:
            return rows
        found = [row for row in map(row_of, self.sale_ids) if row is not None]
        named = np.array(found, dtype=np.int64)
        kept = named[np.isin(named, rows)]
        return kept if self.is_ordered else np.sort(kept)


def candidate_query(
    offer: Offer, context: Context, *, window: Window, profile: Profile, choice: CallerChoice
) -> Query:
    """Return the query of an answer.

    Args:
        offer: The eligible sales of the market at the moment.
        context: Moment, market and device.
        window: The customer's window.
        profile: The customer's profile.
        choice: What the caller excludes or wants to have ranked.
    """
    rows = choice.rows(offer)
    return Query(
        window=window,
        profile=profile,
        catalogue=offer.catalogue,
        context=context,
        rows=rows,
        listing=CallerCandidates.of(offer.catalogue, rows) if choice.is_ordered else None,
        offer=offer,
    )
