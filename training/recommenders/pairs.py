"""Within-customer covariance: of pairs of one customer's sales, beyond that of all sales."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.recommenders.content_encoder import weighted_covariance, whitening
from training.recommenders.interactions import Interactions
from training.recommenders.sparse import group_sums

_RIDGE: Final = 0.5  # against rare features, see `whitening`; chosen, not measured
_TINY: Final = 1e-9  # eigenvalues below are rounding errors of null directions


@dataclass(frozen=True, eq=False)
class Agreement:
    """The dimensions in which the sales of one customer agree.

    Attributes:
        axes: From centred vectors to these dimensions, shape ``(size, n_axes)``.
        mean: Mean over interactions, shape ``(n_axes,)``.
        spread: Variance over customers of their preferences, positive, same shape.
    """

    axes: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def fit_agreement(
    interactions: Interactions, vectors: NDArray[np.float64], *, looks: NDArray[np.float64]
) -> Agreement:
    """Find the dimensions in which the sales of one customer agree.

    Vectors of exposed sales are scaled to covariance ``I``. If the sales of a customer scatter
    independently around their preference, the covariance of two of them is that of preferences,
    without the scatter; its eigenvectors are the dimensions. Negative eigenvalues are noise: with
    their root mean square ``e``, an eigenvalue ``s`` is shrunk to ``s^3 / (s^2 + e^2)``.

    Args:
        interactions: The events.
        vectors: Description of every sale, centred, shape ``(n_catalogue, size)``.
        looks: See `Interactions.looks_by_sale`, shape ``(n_catalogue,)``.

    Returns:
        The dimensions; none where no customer has two sales.
    """
    scaling = whitening(weighted_covariance(vectors, looks), ridge=_RIDGE, least=_TINY)
    mean, covariance = _moments(interactions, vectors @ scaling)
    spread, axes = np.linalg.eigh(covariance)
    noise = float(np.mean(np.square(np.minimum(spread, 0.0)))) if len(spread) else 0.0
    kept = np.flatnonzero(spread > _TINY)[::-1]
    spread, axes = spread[kept], axes[:, kept]
    return Agreement(scaling @ axes, mean @ axes, spread**3 / (spread**2 + noise))


def _moments(
    interactions: Interactions, placed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of interactions, and the covariance of two sales of one customer.

    A customer of ``n`` sales weighs ``n``: each of ``n (n - 1)`` ordered pairs ``1 / (n - 1)``.
    """
    n_sales, size = len(placed), len(placed.T)
    customers, rows = interactions.touched()
    sizes = np.bincount(customers, minlength=interactions.n_customers)
    several = sizes[customers] > 1
    if not several.any():
        return np.zeros(size), np.zeros((size, size))
    times = np.bincount(rows, minlength=n_sales).astype(np.float64)
    mean = times @ placed / len(rows)
    weights = 1.0 / np.maximum(sizes - 1.0, 1.0)
    customers, rows = customers[several], rows[several]
    # A sum over pairs is the square of the customer's sum, less each sale's pair with itself.
    sums = group_sums(customers, rows, n_groups=len(sizes), table=placed)
    own = np.bincount(rows, weights=weights[customers], minlength=n_sales)
    products = (sums * weights[:, None]).T @ sums - placed.T @ (placed * own[:, None])
    return mean, products / len(rows) - np.outer(mean, mean)
