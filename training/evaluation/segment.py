"""Segments of evaluated slates: by customer, age of the bought sale, and market."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.units import DAY_US
from models.query.query import Query
from models.recommenders.segment_popularity import segment_for

# Age up to which a sale is new: on its first day it has hardly any clicks of its own. Chosen.
NEW_US: Final = DAY_US


@dataclass(frozen=True, slots=True)
class Situation:
    """Properties of a slate that determine its segments.

    Attributes:
        market: The market, None where unknown.
        n_events: Known events of the customer, without impressions.
        age_us: Age of the youngest bought sale, None without one.
    """

    market: str | None
    n_events: int
    age_us: int | None

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the segments that the slate belongs to."""
        names = [f"customers: {segment_for(self.n_events)}"]
        if self.age_us is not None:
            names.append("bought: new sale" if self.age_us < NEW_US else "bought: older sale")
        if self.market is not None:
            names.append(f"market: {self.market}")
        return tuple(names)


def situation(query: Query, bought: NDArray[np.bool_]) -> Situation:
    """Describe a slate.

    Args:
        query: Its query.
        bought: Whether each candidate was bought, shape ``(n_sales,)``.
    """
    opened_us = query.catalogue.opens_us[query.rows[bought]]
    age_us = query.context.now_us - int(opened_us.max()) if len(opened_us) else None
    return Situation(query.context.market, query.n_known_events, age_us)


def segment_masks(situations: Sequence[Situation]) -> dict[str, NDArray[np.bool_]]:
    """Return the mask of each segment's slates, shape ``(n_slates,)``, by name."""
    members = [frozenset(one.segments) for one in situations]
    names = sorted(set[str]().union(*members))
    return {name: np.array([name in names_of for names_of in members]) for name in names}
