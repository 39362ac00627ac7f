"""Content preference: a Bayesian estimate of a customer's taste in content space."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.kernel.steps import Family, Step
from models.recommenders.content_encoder import Projection
from models.recommenders.recommender import Recommender

# Newton steps from the prior mean; chosen, not measured.
_N_STEPS: Final = 3
# Chosen: bounds `t . x` before `exp`; larger values come from outliers of the content.
_MAX_EXPONENT: Final = 4.0
_N_VECTORS: Final = 5  # of scratch: both tastes, sums, slope and curvature


@dataclass(frozen=True, eq=False)
class ContentPreference(Recommender):
    """Scores by the dot product of a sale's content with the customer's estimated taste.

    Sales are whitened: eligible ones have mean 0 and covariance ``I``. A customer of taste ``t``
    interacts with sales that scatter around ``t``; ``t ~ N(mean, diag(spread))`` over customers.
    The posterior mean after ``n`` sales of mean ``m`` is, in every dimension,
    ``mean + (m - mean) * spread * n / (1 + spread * n)``. The dot product is the log of how much
    more likely the customer opens the sale than an average one, to the first order.

    Where impressions are known, sales that were shown and not opened count as well: a shown sale
    ``x`` is opened at the rate ``rate * exp(t . x)``, and the lasting taste is the posterior mode;
    impressions of one visit are too few. With ``n`` interactions without a known impression, the
    log posterior is, up to a constant, ``t . sums - n t^2 / 2 - rate sum_shown exp(t . x) -
    (t - mean)^2 / (2 spread)``: a Poisson likelihood for sales that were shown; elsewhere the mean
    of ``exp(t . x)`` over eligible sales takes its place. Newton steps with a diagonal Hessian, as
    the axes are nearly uncorrelated; an exact line search along each step covers impressions that
    are all alike, where they are not.

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

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of all columns; see `Recommender.step`."""
        size = self.projection.n_dimensions
        tables = self.projection.project(catalogue), self.mean, self.spread
        numbers = self.rate, _MAX_EXPONENT
        return Step(
            *(Family.TASTE, len(self.columns), tables),
            *((size, _N_STEPS), numbers, _N_VECTORS * size),
        )

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
