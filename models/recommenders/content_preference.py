"""What a customer likes in sales, learned from what customers opened of what they were shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.query.customer_history import TASTE_MEMORY_S
from models.query.query import Batch
from models.recommenders.content_encoder import Projection
from models.recommenders.recommender import Recommender

_LASTING: Final = 0
"""Index of the lasting taste, before that of this visit."""

_ROUNDS: Final = 3
_TINY: Final = 1e-300
"""In place of no curvature, where there is no slope either."""

_MAX_LIKING: Final = 4.0
"""Of which an exponential is taken; more would be an outlier of the content."""


@dataclass(frozen=True, eq=False)
class ContentPreference(Recommender):
    """Estimates a customer's taste from the content of the sales that he touched.

    Sales are placed so that those on offer have mean 0 and covariance ``I``. A customer of
    taste ``t`` touches sales around ``t``, with ``t ~ N(mean, diag(spread))`` over customers.
    After ``n`` sales of mean ``m`` he is expected to have, in every dimension, the taste
    ``mean + (m - mean) * spread * n / (1 + spread * n)``; a sale's score is its dot product
    with it, which is the logarithm of how much more likely he opens it than others, up to a
    term of the second order.

    Where it is known what he was shown, what he passed over counts as well: of a sale ``x``
    that he is shown he opens ``rate * exp(t . x)`` on average. The taste is then the mode of
    the posterior, dimension by dimension, see `_mode`.

    Attributes:
        projection: Places sales.
        mean: Taste of the average customer, shape ``(n_dimensions,)``.
        spread: How much tastes differ between customers, positive, same shape.
        rate: Share of the sales shown that the average customer opened; 0 where impressions
            are not known.
    """

    projection: Projection
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    rate: float

    name: ClassVar[str] = "taste"
    columns: ClassVar[Mapping[str, str]] = {
        "taste": "Agreement of the sale's content with the taste that he is expected to have",
        "taste_visit": "The same by this visit alone",
        "taste_appeal": "Agreement of the sale's content with the average customer's taste",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by content; see `Recommender.batch_scores`."""
        if not self.projection.n_dimensions:
            return np.full((*batch.rows.shape, len(self.columns)), np.nan)
        places = self.projection.of(batch.catalogue)
        tastes = np.empty((len(self.columns), len(batch), len(self.mean)))
        tastes[:-1] = self.expected(batch, places)
        tastes[-1] = self.mean
        return np.einsum("bij,hbj->bih", batch.described(places), tastes)

    def expected(self, batch: Batch, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the tastes to expect, lasting and of this visit.

        What he was shown tells of his lasting taste; in a visit it is too little.

        Args:
            batch: The queries.
            places: Where every sale stands, shape ``(n_catalogue, n_dimensions)``.

        Returns:
            Shape ``(2, n_queries, n_dimensions)``.
        """
        touched = batch.touched
        n = touched.customers.sums(touched.weights)[..., None]
        sums = touched.customers.weighted(touched.weights, places, rows=touched.rows)
        tastes = self.mean + (sums - n * self.mean) * self.spread / (1 + self.spread * n)
        were_shown = batch.impressions.customers.lengths > 0
        if self.rate and were_shown.any():
            modes = self._mode(batch, places, sums=sums[_LASTING])
            tastes[_LASTING, were_shown] = modes[were_shown]
        return tastes

    def _mode(
        self, batch: Batch, places: NDArray[np.float64], *, sums: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the most likely lasting tastes, given what was opened and what passed over.

        With ``n`` sales that he touched and is not known to have been shown, the logarithm of
        the posterior is, up to a constant, ``t . sums - n t^2 / 2 - rate sum_shown exp(t . x) -
        (t - mean)^2 / (2 spread)``: Poisson where it is known what was shown, and elsewhere the
        mean of ``exp(t . x)`` over what is on offer. Climbed in Newton's steps, in every dimension
        as if it were the only one, since the axes are hardly correlated; where what he was shown
        is all alike they are, and a step is as long as is best along its direction.

        Args:
            batch: The queries.
            places: Where every sale stands, shape ``(n_catalogue, n_dimensions)``.
            sums: Of the places of what each touched, by weight, shape ``(n_queries,
                n_dimensions)``.

        Returns:
            Shape ``(n_queries, n_dimensions)``.
        """
        shown, size = batch.impressions, len(self.mean)
        at = places.take(shown.rows, axis=0)
        block = shown.customers.vectors(np.hstack([at, at * at]), np.arange(len(at)))
        looks = self.rate * np.exp2(-shown.age_s / TASTE_MEMORY_S)
        precision = 1 / self.spread + _elsewhere(batch)[:, None]
        told = sums + self.mean / self.spread
        taste = self.mean[None].repeat(len(batch), axis=0)
        for _ in range(_ROUNDS):
            liking = np.einsum("ij,ij->i", at, taste.take(shown.customers.owners, axis=0))
            opens = looks * np.exp(liking.clip(-_MAX_LIKING, _MAX_LIKING))
            # The expected sum of what he opens, and how fast it grows with his taste.
            expected = np.einsum("bi,bij->bj", shown.customers.padded(opens, before=0.0), block)
            slope = told - expected[:, :size] - precision * taste
            step = slope / (precision + expected[:, size:])
            along = np.einsum("ij,ij->i", at, step.take(shown.customers.owners, axis=0))
            bend = np.einsum("bj,bj->b", precision * step, step) + shown.customers.sums(
                opens * along * along
            )
            rise = np.einsum("bj,bj->b", slope, step)
            taste = taste + step * (rise / np.maximum(bend, _TINY))[:, None]
        return taste

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return what was fitted; see `Recommender.to_arrays`."""
        return {
            **self.projection.to_arrays(),
            "mean": self.mean,
            "spread": self.spread,
            "rate": np.array([self.rate]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        projection = Projection.from_arrays(arrays)
        mean, spread = arrays.floats("mean"), arrays.floats("spread")
        if not len(mean) == len(spread) == projection.n_dimensions:
            msg = f"tastes of {len(mean)} dimensions for sales of {projection.n_dimensions}"
            raise ValueError(msg)
        [rate] = arrays.floats("rate").tolist()
        if not 0 <= rate <= 1:
            msg = f"a share of {rate} of the sales shown cannot be opened"
            raise ValueError(msg)
        return cls(projection, mean, spread, rate)


def _elsewhere(batch: Batch) -> NDArray[np.float64]:
    """Weigh what each customer touched and is not known to have been shown, ``(n_queries,)``."""
    touched, shown, n = batch.touched, batch.impressions, len(batch.catalogue)
    elsewhere = np.ones(len(batch) * n)
    elsewhere[shown.customers.cells(shown.rows, n)] = 0.0
    counted = elsewhere[touched.customers.cells(touched.rows, n)]
    return touched.customers.sums(counted * touched.weights[_LASTING])
