"""The rungs below a full answer, and the order that needs no model."""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue import Catalogue
from models.history import INTEREST

_SLOW: Final = 1
"""The 48-hour half-life of `models.counters.HALF_LIVES_HOURS`."""


class Rung(StrEnum):
    """What an answer had to do without, from the least to the worst."""

    ANONYMOUS = "anonymous"
    """The customer's window is unavailable: ranked as for an unknown customer."""
    VARIANT = "variant"
    """The bundle of the customer's variant is not loaded: ranked by the plan's default."""
    REMEMBERED = "remembered"
    """The store lost sales, or holds older states of them: ranked from the last ones known here."""
    POPULARITY = "popularity"
    """The model is unavailable, or there is no time for it: ranked by what is visited and bought
    most."""
    SNAPSHOT = "snapshot"
    """The store has been away for a minute, or was not read since this process was paused: the
    last known open sales, by popularity."""
    EMPTY = "empty"
    """Nothing that may be shown is open, or no catalogue was ever seen: no sales."""


OF_CATALOGUE: Final = frozenset({Rung.REMEMBERED, Rung.SNAPSHOT})
"""What is wrong with the catalogue names an answer, whatever else it had to do without."""


def popularity_order(catalogue: Catalogue, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Score rows by their faded events, weighted by the interest that each shows.

    Args:
        catalogue: All known sales with their counts.
        rows: Candidates.

    Returns:
        Scores, higher first, shape ``(n_candidates,)``.
    """
    return np.einsum("ij,j->i", catalogue.counts.decayed[_SLOW][rows], INTEREST)
