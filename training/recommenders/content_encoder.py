"""Fits the content encoder: the attributes that are used, centres and scales of the content."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.recommenders.content_encoder import Encoder, number_columns
from training.recommenders.attribute_columns import MIN_SHARE, usable_attributes

N_PICTURE_AXES: Final = 24  # principal axes of picture embeddings; chosen, not measured
MAX_TEXTS: Final = 300  # chosen: each is a column of a covariance and of every encoded catalogue
"""Texts of attributes; those with the largest shares are used."""


def fit_encoder(catalogue: Catalogue, looks: NDArray[np.float64]) -> Encoder:
    """Centre and scale the content of sales, weighted by `Interactions.looks_by_sale`."""
    # Sales without a picture have vectors of zeros, which would move the centres.
    pictured = looks * catalogue.pictured
    picture_centre = _mean(catalogue.embeddings.astype(np.float64), pictured)
    numbers, texts = used_attributes(catalogue, looks)
    values = {**_vocabulary_shares(catalogue, looks), **texts}
    columns = number_columns(catalogue, numbers)
    centre, scale = zip(*(_moments(column, looks) for column in columns.T), strict=True)
    statistics = catalogue.image_statistics.astype(np.float64).T
    statistics_centre, statistics_scale = zip(
        *(_moments(column, pictured) for column in statistics), strict=True
    )
    picture_axes = np.empty((len(picture_centre), 0))
    if pictured.any():
        covariance = weighted_covariance(catalogue.embeddings - picture_centre, pictured)
        # Of ascending eigenvalues the last belong to the main axes.
        _, axes = np.linalg.eigh(covariance)
        picture_axes = np.ascontiguousarray(axes[:, ::-1][:, :N_PICTURE_AXES])
    return Encoder(
        values=tuple(values),
        numbers=numbers,
        picture_centre=picture_centre,
        picture_axes=picture_axes,
        topic_centre=_mean(catalogue.topics.astype(np.float64), pictured),
        statistics_centre=np.array(statistics_centre),
        statistics_scale=np.array(statistics_scale),
        value_centre=np.array([*values.values()]),
        number_centre=np.array(centre),
        number_scale=np.array(scale),
    )


def used_attributes(
    catalogue: Catalogue, looks: NDArray[np.float64]
) -> tuple[tuple[str, ...], dict[tuple[str, str], float]]:
    """Choose the attributes of sales that can say something about other sales.

    Args:
        catalogue: All sales.
        looks: See `Interactions.looks_by_sale`.

    Returns:
        Names of numbers and flags, and shares of the looks by name and text, of exposed sales;
        see `usable_attributes`.
    """
    numbers, shares = usable_attributes([sale.attributes for sale in catalogue.sales], looks)
    common = sorted(shares, key=lambda value: (-shares[value], value))
    return numbers, {value: shares[value] for value in sorted(common[:MAX_TEXTS])}


def _vocabulary_shares(
    catalogue: Catalogue, looks: NDArray[np.float64]
) -> dict[tuple[str, str], float]:
    """Return the shares of the looks of common values of the contract's text columns."""
    codes = catalogue.vocabulary.codes
    weights = np.repeat(looks, codes.shape[1])
    sums = np.bincount(codes.ravel(), weights, minlength=len(catalogue.vocabulary.values) + 1)
    shares = sums[1:] / max(float(looks.sum()), 1.0)
    named = zip(catalogue.vocabulary.values, shares.tolist(), strict=True)
    return {value: share for value, share in named if share >= MIN_SHARE}


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


def _moments(column: NDArray[np.float64], looks: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation of the known values; 0 and 1 without a spread."""
    weights = np.where(np.isnan(column), 0.0, looks)
    total = float(weights.sum())
    if not total:
        return 0.0, 1.0
    known = np.nan_to_num(column, nan=0.0)
    mean = float(weights @ known) / total
    deviation = float(weights @ (known - mean) ** 2 / total) ** 0.5
    return mean, deviation or 1.0
