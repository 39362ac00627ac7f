"""Fits tastes: which contents attract, and how much customers differ in what attracts them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.encoder import Projection
from models.recommenders.taste import Taste
from training.recommenders.encoder import fit_encoder, weighted_covariance
from training.recommenders.interactions import Interactions
from training.recommenders.sparse import group_sums

_RIDGE: Final = 0.5
"""Added to variances of content, as a share of the mean one: rare content says little."""

_TINY: Final = 1e-9


def fit_taste(interactions: Interactions) -> Taste:
    """Estimate the mean and the spread of tastes from pairs of sales of one customer.

    Sales on offer, shown and not opened included, are placed around 0 with covariance ``I``.
    What customers touched lies around the mean taste. If a customer's tastes ``t`` are drawn
    once and every sale he touches scatters around ``t`` with covariance ``I``, then two
    sales of one customer have the covariance of tastes, without the scatter. Its
    eigenvectors are the dimensions. Negative eigenvalues can only be noise: of their root
    mean square ``e``, an eigenvalue ``s`` is shrunk to ``s^3 / (s^2 + e^2)``.

    Args:
        interactions: What is known.

    Returns:
        Tastes; without any dimension where there is too little to learn from.
    """
    exposure = interactions.exposure()
    encoder = fit_encoder(interactions.catalogue, exposure)
    whitening = _whitening(encoder.encode(interactions.catalogue), exposure)
    placed = Projection(encoder, whitening).of(interactions.catalogue)
    mean, covariance = _pair_moments(interactions, placed)
    spread, axes = np.linalg.eigh(covariance)
    noise = float(np.mean(np.square(np.minimum(spread, 0.0)))) if len(spread) else 0.0
    kept = np.flatnonzero(spread > _TINY)[::-1]
    spread, axes = spread[kept], axes[:, kept]
    return Taste(
        projection=Projection(encoder, whitening @ axes),
        mean=mean @ axes,
        spread=spread**3 / (spread**2 + noise),
    )


def _whitening(vectors: NDArray[np.float64], exposure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return axes on which the sales on offer have unit variance, or less where it is rare."""
    variances, axes = np.linalg.eigh(weighted_covariance(vectors, exposure))
    kept = np.flatnonzero(variances > _TINY)
    if not len(kept):
        return np.empty((vectors.shape[1], 0))
    return axes[:, kept] / np.sqrt(variances[kept] + _RIDGE * variances.mean())


def _pair_moments(
    interactions: Interactions, placed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean of touched sales, and covariance of two of one customer.

    A customer of ``n`` sales weighs ``n``: his ``n (n - 1)`` ordered pairs ``1 / (n - 1)`` each.
    """
    n_sales, size = len(placed), len(placed.T)
    n_customers = interactions.n_customers
    customers, rows = interactions.touched()
    sizes = np.bincount(customers, minlength=n_customers)
    several = sizes[customers] > 1
    if not several.any():
        return np.zeros(size), np.zeros((size, size))
    times = np.bincount(rows, minlength=n_sales).astype(np.float64)
    mean = times @ placed / len(rows)
    weights = 1.0 / np.maximum(sizes - 1.0, 1.0)
    customers, rows = customers[several], rows[several]
    sums = group_sums(customers, rows, n_groups=n_customers, table=placed)
    own = np.bincount(rows, weights=weights[customers], minlength=n_sales)
    products = (sums * weights[:, None]).T @ sums - placed.T @ (placed * own[:, None])
    return mean, products / len(rows) - np.outer(mean, mean)
