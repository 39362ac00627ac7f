"""Content preference: a Bayesian estimate of a customer's taste in content space."""

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

# Index of the lasting taste; the taste of the visit follows it.
_LASTING: Final = 0
# Newton steps from the prior mean; chosen, not measured.
_N_STEPS: Final = 3
# Curvature of a zero step, whose slope is 0 as well.
_TINY: Final = 1e-300
# Chosen: bounds `t . x` before `exp`; larger values come from outliers of the content.
_MAX_EXPONENT: Final = 4.0


@dataclass(frozen=True, eq=False)
class ContentPreference(Recommender):
    """Scores by the dot product of a sale's content with the customer's estimated taste.

    Sales are whitened: eligible ones have mean 0 and covariance ``I``. A customer of taste ``t``
    interacts with sales that scatter around ``t``; ``t ~ N(mean, diag(spread))`` over customers.
    The posterior mean after ``n`` sales of mean ``m`` is, in every dimension,
    ``mean + (m - mean) * spread * n / (1 + spread * n)``. The dot product is the log of how much
    more likely the customer opens the sale than an average one, to the first order.

    Where impressions are known, sales that were shown and not opened count as well: a shown sale
    ``x`` is opened at the rate ``rate * exp(t . x)``, and the taste is the posterior mode; see
    `_mode`.

    Attributes:
        projection: Places sales in the whitened space.
        mean: Mean of tastes over customers, shape ``(n_dimensions,)``.
        spread: Variance of tastes over customers, positive, same shape.
        rate: Share of shown sales that the average customer opened; 0 without impressions.
    """

    projection: Projection
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    rate: float

    name: ClassVar[str] = "taste"
    columns: ClassVar[Mapping[str, str]] = {
        "taste": "Agreement of the sale's content with the customer's estimated taste",
        "taste_visit": "The same by this visit alone",
        "taste_appeal": "Agreement of the sale's content with the average customer's taste",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by content, shape ``(n_queries, n_sales, 3)``; see `Recommender.batch_scores`."""
        if not self.projection.n_dimensions:
            return np.full((*batch.rows.shape, len(self.columns)), np.nan)
        places = self.projection.project(batch.catalogue)
        tastes = np.empty((len(self.columns), len(batch), len(self.mean)))
        tastes[:-1] = self.expected(batch, places)
        tastes[-1] = self.mean
        return np.einsum("bij,hbj->bih", batch.gather(places), tastes)

    def expected(self, batch: Batch, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimate tastes, lasting and of this visit.

        Impressions are used for the lasting taste only; those of one visit are too few.

        Args:
            batch: The queries.
            places: Projected sales, shape ``(n_catalogue, n_dimensions)``.

        Returns:
            Shape ``(2, n_queries, n_dimensions)``.
        """
        seen = batch.interactions
        n = seen.customers.sums(seen.weights)[..., None]
        sums = seen.customers.weighted(seen.weights, places, rows=seen.rows)
        tastes = self.mean + (sums - n * self.mean) * self.spread / (1 + self.spread * n)
        were_shown = batch.impressions.customers.lengths > 0
        if self.rate and were_shown.any():
            modes = self._mode(batch, places, sums=sums[_LASTING])
            tastes[_LASTING, were_shown] = modes[were_shown]
        return tastes

    def _mode(
        self, batch: Batch, places: NDArray[np.float64], *, sums: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the posterior modes of the lasting tastes, given openings and impressions.

        With ``n`` interactions without a known impression, the log posterior is, up to a
        constant, ``t . sums - n t^2 / 2 - rate sum_shown exp(t . x) - (t - mean)^2 / (2 spread)``:
        a Poisson likelihood for sales that were shown; elsewhere the mean of ``exp(t . x)`` over
        eligible sales takes its place. Newton steps with a diagonal Hessian, as the axes are
        nearly uncorrelated; an exact line search along each step covers impressions that are all
        alike, where they are not.

        Args:
            batch: The queries.
            places: Projected sales, shape ``(n_catalogue, n_dimensions)``.
            sums: Weighted sums of the places of interactions, shape ``(n_queries,
                n_dimensions)``.

        Returns:
            Shape ``(n_queries, n_dimensions)``.
        """
        shown, size = batch.impressions, len(self.mean)
        at = places.take(shown.rows, axis=0)
        # Places and their squares together, shape (n_queries, longest, 2 n_dimensions).
        block = shown.customers.vectors(np.hstack([at, at * at]), np.arange(len(at)))
        looks = self.rate * np.exp2(-shown.age_s[1:] / TASTE_MEMORY_S)
        seen = batch.interactions
        # Place 0: without a known impression.
        counted = shown.place.take(seen.customers.cells(seen.rows, len(batch.catalogue))) == 0
        weight = seen.customers.sums(counted * seen.weights[_LASTING])
        precision = 1 / self.spread + weight[:, None]
        linear = sums + self.mean / self.spread
        taste = self.mean[None].repeat(len(batch), axis=0)
        for _ in range(_N_STEPS):
            liking = np.einsum("ij,ij->i", at, taste.take(shown.customers.owners, axis=0))
            opens = looks * np.exp(liking.clip(-_MAX_EXPONENT, _MAX_EXPONENT))
            # First and second derivative of ``rate sum_shown exp(t . x)``.
            expected = np.einsum("bi,bij->bj", shown.customers.padded(opens, before=0.0), block)
            slope = linear - expected[:, :size] - precision * taste
            step = slope / (precision + expected[:, size:])
            along = np.einsum("ij,ij->i", at, step.take(shown.customers.owners, axis=0))
            bend = np.einsum("bj,bj->b", precision * step, step) + shown.customers.sums(
                opens * along * along
            )
            rise = np.einsum("bj,bj->b", slope, step)
            taste = taste + step * (rise / np.maximum(bend, _TINY))[:, None]
        return taste

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
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
            msg = f"the opening rate must be in [0, 1], got {rate}"
            raise ValueError(msg)
        return cls(projection, mean, spread, rate)
