"""Fits the content encoder: centres and scales of the content of sales."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.recommenders.content_encoder import Encoder, indicators, price_columns

N_PICTURE_AXES: Final = 24  # principal axes of picture embeddings; chosen, not measured
MIN_SHARE: Final = 1e-3  # chosen, not measured: rarer values say nothing about other sales
"""Attribute values with a smaller share of the exposure are left out."""


def fit_encoder(catalogue: Catalogue, exposure: NDArray[np.float64]) -> Encoder:
    """Centre and scale the content of sales, weighted by `Interactions.exposure`."""
    # Sales without a picture have vectors of zeros, which would move the centres.
    pictured = exposure * catalogue.pictured
    picture_centre = _mean(catalogue.embeddings.astype(np.float64), pictured)
    present = indicators(catalogue.vocabulary, catalogue.vocabulary.values)
    shares = _mean(present, exposure)
    common = np.flatnonzero(shares >= MIN_SHARE)
    prices = price_columns(catalogue)
    centre, scale = zip(*(_moments(column, exposure) for column in prices.T), strict=True)
    looks = catalogue.looks.astype(np.float64).T
    look_centre, look_scale = zip(*(_moments(column, pictured) for column in looks), strict=True)
    picture_axes = np.empty((len(picture_centre), 0))
    if pictured.any():
        covariance = weighted_covariance(catalogue.embeddings - picture_centre, pictured)
        # Of ascending eigenvalues the last belong to the main axes.
        _, axes = np.linalg.eigh(covariance)
        picture_axes = np.ascontiguousarray(axes[:, ::-1][:, :N_PICTURE_AXES])
    return Encoder(
        values=tuple(catalogue.vocabulary.values[index] for index in common),
        picture_centre=picture_centre,
        picture_axes=picture_axes,
        topic_centre=_mean(catalogue.topics.astype(np.float64), pictured),
        look_centre=np.array(look_centre),
        look_scale=np.array(look_scale),
        value_centre=shares[common],
        price_centre=np.array(centre),
        price_scale=np.array(scale),
    )


def weighted_covariance(
    vectors: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the second moments of centred vectors, shape ``(size, size)``."""
    return vectors.T @ (vectors * weights[:, None]) / max(float(weights.sum()), 1.0)


def whitening(
    covariance: NDArray[np.float64], *, ridge: float, least: float
) -> NDArray[np.float64]:
    """Return the map of centred vectors to a covariance of about ``I``, ``(size, n_axes)``.

    Args:
        covariance: Shape ``(size, size)``.
        ridge: Added to the variances, as a share of their mean: rare directions are not blown up.
        least: Smaller variances are rounding errors of null directions, which are left out.
    """
    if not len(covariance):
        return np.empty((0, 0))
    variances, axes = np.linalg.eigh(covariance)
    kept = variances > least
    return axes[:, kept] / np.sqrt(variances[kept] + ridge * variances.mean())


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights @ values / max(float(weights.sum()), 1.0)


def _moments(column: NDArray[np.float64], exposure: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation of the known values; 0 and 1 without a spread."""
    weights = np.where(np.isnan(column), 0.0, exposure)
    total = float(weights.sum())
    if not total:
        return 0.0, 1.0
    known = np.nan_to_num(column, nan=0.0)
    mean = float(weights @ known) / total
    deviation = float(weights @ (known - mean) ** 2 / total) ** 0.5
    return mean, deviation or 1.0
