"""Session-based recommendation: a linear model of the next sale of a visit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.kernel.steps import Family, Step
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

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of the one column; see `Recommender.step`.

        A visit goes on until half an hour without an event; direct repetitions of a sale are one.
        """
        n = self.axes.shape[1]
        tables = self.coordinates(catalogue), np.ascontiguousarray(self.steps)
        return Step(Family.SESSION, 1, tables, (n,), n_work=(N_LAST + 2) * n)

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
