"""Session-based recommendation: a linear model of the next sale of a visit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.arrays.ragged import Ragged
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.query.customer_history import VISIT_GAP_S
from models.query.query import Batch
from models.recommenders.collaborative import Collaborative
from models.recommenders.recommender import Recommender

# Chosen, not measured.
N_LAST: Final = 3
"""Latest sales of a visit whose order is used."""


@dataclass(frozen=True, eq=False)
class Session(Recommender):
    """Predicts the next sale of a visit in the space of collaborative factors.

    Factors are whitened to coordinates: eligible sales have mean 0 and covariance ``I``. Those of
    the next sale are a linear function of those of the last three sales of the visit, the latest
    first, and of the mean of all of them; a sale's score is its dot product with the prediction.
    New sales have coordinates by their content.

    Attributes:
        collaborative: Source of the factors.
        centre: Mean factors of eligible sales, shape ``(n_factors,)``.
        axes: From centred factors to coordinates, shape ``(n_factors, n_axes)``.
        steps: From the description of a visit to those of the next sale, ``(4 * n_axes, n_axes)``.
    """

    collaborative: Collaborative
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    steps: NDArray[np.float64]

    name: ClassVar[str] = "session"
    columns: ClassVar[Mapping[str, str]] = {
        "session": "Agreement with the predicted next sale of this visit",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by the visit, shape ``(n_queries, n_sales, 1)``; see `Recommender.batch_scores`."""
        visits, visit = current_visits(batch)
        if not len(visit) or not self.axes.shape[1]:
            return np.full((*batch.rows.shape, 1), np.nan)
        coordinates = self.coordinates(batch.catalogue)
        steps = np.einsum("bi,ij->bj", describe_visits(visits, coordinates, rows=visit), self.steps)
        expected = visits.blank_empty(steps)
        return np.einsum("bij,bj->bi", batch.gather(coordinates), expected)[..., None]

    @cached
    def coordinates(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return the coordinates of every sale of a catalogue, shape ``(n_catalogue, n_axes)``."""
        return np.einsum(
            "ij,jk->ik", self.collaborative.factors(catalogue) - self.centre, self.axes
        )

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
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


def current_visits(batch: Batch) -> tuple[Ragged, NDArray[np.int64]]:
    """Return the sales of each customer's current visit, in order, without direct repetitions.

    Returns:
        Owner of each sale, and the catalogue rows, a visit's latest last, shape ``(n,)``; none
        for a customer whose last visit has ended.
    """
    history = batch.history
    owners, rows, gaps = history.customers.owners, history.rows, history.age_s.copy()
    follows = owners[1:] == owners[:-1]
    # Seconds from each event to the next of its customer, or to now.
    gaps[:-1] -= np.where(follows, history.age_s[1:], 0.0)
    ends = np.flatnonzero(gaps > VISIT_GAP_S)
    first = np.zeros(len(batch), dtype=np.intp)
    first[owners[ends]] = ends + 1
    kept = np.arange(len(owners)) >= first[owners]
    kept[:-1] &= ~(follows & (rows[1:] == rows[:-1]))
    return history.customers.select(kept), rows[kept]


def describe_visits(
    visits: Ragged, coordinates: NDArray[np.float64], *, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Describe visits by their last three sales, 0 where there are fewer, and the mean of all.

    Args:
        visits: Owner of each sale.
        coordinates: Coordinates of every sale, shape ``(n_catalogue, n_axes)``.
        rows: Sales of the visits, a visit's latest last, shape ``(n,)``.

    Returns:
        Shape ``(n_visits, 4 * n_axes)``; 0 for a visit without sales.
    """
    last = np.zeros((visits.n_rows, N_LAST + 1, coordinates.shape[1]))
    latest = visits.vectors(coordinates, rows)[:, ::-1][:, :N_LAST]
    last[:, : latest.shape[1]] = latest
    last[:, N_LAST] = visits.total(coordinates, rows) / np.maximum(visits.lengths, 1)[:, None]
    return last.reshape(visits.n_rows, -1)
