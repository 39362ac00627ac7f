"""What a visit turns to next, by the sales that it turned to so far, in their order."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.arrays.ragged import Ragged
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.query.query import Batch
from models.recommenders.collaborative import Collaborative
from models.recommenders.recommender import Recommender

VISIT_GAP_S: Final = 30.0 * 60.0
"""A visit ends where nothing happens for so long."""

N_LAST: Final = 3
"""Sales of a visit whose order counts."""


@dataclass(frozen=True, eq=False)
class Session(Recommender):
    """Follows the steps of a visit through the space of collaborative factors.

    Sales are placed by their factors, scaled so that those on offer have mean 0 and
    covariance ``I``. Where the next step leads is a linear function of where the last three
    sales of the visit stand, the latest first, and of the mean of all of them; a sale's score
    is its dot product with it. New sales have a place by their content.

    Attributes:
        collaborative: Gives the factors.
        centre: Mean factors of what is on offer, shape ``(n_factors,)``.
        axes: From centred factors to places, shape ``(n_factors, n_axes)``.
        steps: From a visit to its next place, shape ``(4 * n_axes, n_axes)``.
    """

    collaborative: Collaborative
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    steps: NDArray[np.float64]

    name: ClassVar[str] = "session"
    columns: ClassVar[Mapping[str, str]] = {
        "session": "Agreement with where this visit's next step is expected to lead",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by the visit; see `Recommender.batch_scores`."""
        visits, visit = visited(batch)
        if not len(visit) or not self.axes.shape[1]:
            return np.full((*batch.rows.shape, 1), np.nan)
        places = self.places(batch.catalogue)
        steps = np.einsum("bi,ij->bj", described(visits, places, rows=visit), self.steps)
        expected = visits.blank_empty(steps)
        return np.einsum("bij,bj->bi", batch.described(places), expected)[..., None]

    def places(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Place every sale of a catalogue, shape ``(n_catalogue, n_axes)``."""
        return self._places.of(catalogue)

    @cached_property
    def _places(self) -> CatalogueCache[NDArray[np.float64]]:
        return CatalogueCache(self._placed)

    def _placed(self, catalogue: Catalogue) -> NDArray[np.float64]:
        factors = self.collaborative.factors(catalogue)
        return np.einsum("ij,jk->ik", factors - self.centre, self.axes)

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return factors and steps; see `Recommender.to_arrays`."""
        factors = self.collaborative.to_arrays()
        own = {"centre": self.centre, "space": self.axes, "steps": self.steps}
        return {**factors, **own}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        collaborative = Collaborative.from_arrays(arrays)
        centre, axes, steps = map(arrays.floats, ("centre", "space", "steps"))
        n = len(centre)
        fits = n == len(collaborative.gramian) == len(axes)
        if not fits or steps.shape != ((N_LAST + 1) * axes.shape[1], axes.shape[1]):
            msg = f"steps of shape {steps.shape} in a space of {axes.shape[1]} dimensions"
            raise ValueError(msg)
        return cls(collaborative, centre, axes, steps)


def visited(batch: Batch) -> tuple[Ragged, NDArray[np.int64]]:
    """Return the sales of visits that go on, in order; one that follows itself once.

    Returns:
        Whose sales stand where, and their catalogue rows, a visit's latest last, none
        without a visit, shape ``(n,)``.
    """
    history = batch.history
    owners, rows, gaps = history.customers.owners, history.rows, history.age_s.copy()
    follows = owners[1:] == owners[:-1]
    gaps[:-1] -= np.where(follows, history.age_s[1:], 0.0)
    ends = np.flatnonzero(gaps > VISIT_GAP_S)
    first = np.zeros(len(batch), dtype=np.intp)
    first[owners[ends]] = ends + 1
    kept = np.arange(len(owners)) >= first[owners]
    kept[:-1] &= ~(follows & (rows[1:] == rows[:-1]))
    return history.customers.select(kept), rows[kept]


def described(
    visits: Ragged, places: NDArray[np.float64], *, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Describe visits: their last three places, zeros where one has fewer, and their mean.

    Args:
        visits: Whose sales stand where.
        places: Where every sale stands, shape ``(n_catalogue, n_axes)``.
        rows: Sales of the visits, a visit's latest last, shape ``(n,)``.

    Returns:
        Shape ``(n_visits, 4 * n_axes)``; of a visit without sales all is 0.
    """
    last = np.zeros((visits.n_rows, N_LAST + 1, places.shape[1]))
    latest = visits.vectors(places, rows)[:, ::-1][:, :N_LAST]
    last[:, : latest.shape[1]] = latest
    last[:, N_LAST] = visits.total(places, rows) / np.maximum(visits.lengths, 1)[:, None]
    return last.reshape(visits.n_rows, -1)
