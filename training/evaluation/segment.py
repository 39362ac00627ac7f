"""Parts of what was judged that are worth a look of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.recommenders.segment_popularity import segment_of

NEW_US: Final = 24 * 3_600_000_000
"""A sale is new for so long after it opened, microseconds."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a slate is filed under.

    Attributes:
        market: The market, None where unknown.
        n_events: Events of the customer that were known, impressions apart.
        age_us: Age of the youngest sale that was bought, None where nothing was.
    """

    market: str | None
    n_events: int
    age_us: int | None

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the segments that the slate belongs to."""
        names = [f"customers: {segment_of(self.n_events)}"]
        if self.age_us is not None:
            names.append("bought: new sale" if self.age_us < NEW_US else "bought: older sale")
        if self.market is not None:
            names.append(f"market: {self.market}")
        return tuple(names)


def situation(query: Query, bought: NDArray[np.bool_]) -> Situation:
    """Describe a slate.

    Args:
        query: What was known at its moment.
        bought: Which of the query's candidates were bought, shape ``(n_sales,)``.
    """
    opened_us = query.catalogue.opens_us[query.rows[bought]]
    age_us = query.context.now_us - int(opened_us.max()) if len(opened_us) else None
    return Situation(query.context.market, query.n_known_events, age_us)


def segment_masks(situations: Sequence[Situation]) -> dict[str, NDArray[np.bool_]]:
    """Return which slates belong to each segment, shape ``(n_slates,)`` each, by name."""
    members = [frozenset(one.segments) for one in situations]
    names = sorted(set[str]().union(*members))
    return {name: np.array([name in names_of for names_of in members]) for name in names}
