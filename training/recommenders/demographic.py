"""Fits the demographic recommender: a ridge regression of tastes on attributes of customers."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.sale import AttributeValues
from models.recommenders.content_preference import ContentPreference
from models.recommenders.demographic import CustomerEncoder, Demographic
from training.recommenders.attribute_columns import choose_columns
from training.recommenders.interactions import Interactions
from training.recommenders.sparse import group_sums

# Chosen: each is a row of weights, and is looked up in every answer.
MAX_COLUMNS: Final = 60


def fit_demographic(interactions: Interactions, taste: ContentPreference) -> Demographic:
    """Regress the mean content of the sales that customers turned to on their attributes.

    In each dimension a customer's mean of ``n`` sales is ``mean + x . w`` with the variance
    ``spread + 1 / n``; ``w ~ N(0, spread / n_columns)``, so that attributes explain no more of the
    tastes than there is. One weight a customer, of the mean spread, serves all dimensions.

    Args:
        interactions: The events, with the attributes of customers.
        taste: Fitted on the same events: its dimensions, with mean and spread of tastes.
    """
    pairs, rows = interactions.touched()
    customers, place = np.unique(pairs, return_inverse=True)
    described: list[AttributeValues] = [
        interactions.attributes.attributes(code) for code in customers.tolist()
    ]
    known = np.array([bool(attributes) for attributes in described], dtype=np.bool_)
    n = np.bincount(place, minlength=len(customers)).astype(np.float64)
    mean_spread = float(taste.spread.mean()) if len(taste.spread) else 0.0
    weights = np.where(known, n / (1.0 + n * mean_spread), 0.0)
    encoder = _fit_encoder(described, weights)
    effects = np.zeros((len(encoder.columns), taste.projection.n_dimensions))
    if effects.size:
        sums = group_sums(
            place,
            rows,
            n_groups=len(customers),
            table=taste.projection.project(interactions.catalogue),
        )
        design = encoder.encode(described)
        targets = (sums / n[:, None] - taste.mean) * weights[:, None]
        scale, axes = np.linalg.eigh(design.T @ (design * weights[:, None]))
        ridge = len(encoder.columns) / taste.spread
        effects = axes @ ((axes.T @ (design.T @ targets)) / (scale[:, None] + ridge))
    return Demographic(encoder, taste.projection, taste.mean, effects)


def _fit_encoder(described: list[AttributeValues], weights: NDArray[np.float64]) -> CustomerEncoder:
    columns = choose_columns(described, weights, most=MAX_COLUMNS)
    values = columns.values(described)
    counted = np.where(np.isnan(values), 0.0, weights[:, None])
    total = np.maximum(counted.sum(axis=0), 1e-9)
    filled = np.nan_to_num(values, nan=0.0)
    centre = (counted * filled).sum(axis=0) / total
    scale = np.sqrt((counted * np.square(filled - centre)).sum(axis=0) / total)
    return CustomerEncoder(columns, centre, np.where(scale > 0, scale, 1.0))
