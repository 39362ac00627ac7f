"""Fits collaborative filtering: factors of sales, and their regression on content."""

from typing import Final

import numpy as np

from models.recommenders.collaborative import Collaborative
from models.recommenders.content_encoder import Projection
from training.recommenders.als import ALS, factorise
from training.recommenders.content_encoder import fit_encoder
from training.recommenders.interactions import Interactions

_MIN_CUSTOMERS: Final = 50
"""Fewest customers that are factorised. Chosen, not measured."""

_CONTENT_RIDGE: Final = 300.0
"""Ridge penalty of the regression on content, in customers. Chosen, not measured."""

_OWN: Final = 100.0
"""A sale with this many customers has half of its factors from content (decision 0020)."""


def fit_collaborative(interactions: Interactions) -> Collaborative:
    """Factorise interactions, and predict the factors of sales from their content.

    Factors of a sale of ``n`` customers are ``content + n / (n + 100) * (own - content)``.

    Args:
        interactions: The events.

    Returns:
        The recommender; without factors where fewer than 50 customers interacted.
    """
    catalogue = interactions.catalogue
    customers, rows = interactions.touched()
    # Customers without interactions are left out: the solver's cost grows with their number.
    present, customers = np.unique(customers, return_inverse=True)
    encoder = fit_encoder(catalogue, interactions.exposure())
    factors = np.empty((len(catalogue), 0))
    if len(present) >= _MIN_CUSTOMERS:
        factors = factorise(customers, rows, n_customers=len(present), n_rows=len(catalogue))
    n = np.bincount(rows, minlength=len(catalogue)).astype(np.float64)
    # Ridge regression of factors on content, each sale weighted by its customers.
    vectors = encoder.encode(catalogue)
    weighted = vectors * n[:, None]
    normal = vectors.T @ weighted + _CONTENT_RIDGE * np.eye(vectors.shape[1])
    axes = np.asarray(np.linalg.solve(normal, weighted.T @ factors), dtype=np.float64)
    projection = Projection(encoder, axes)
    by_content = projection.project(catalogue)
    residuals = (n / (n + _OWN))[:, None] * (factors - by_content)
    known = np.flatnonzero(n > 0)
    final = by_content[known] + residuals[known]
    return Collaborative(
        projection=projection,
        keys=catalogue.keys[known],
        residuals=residuals[known],
        gramian=final.T @ final + ALS.regularisation * np.eye(final.shape[1]),
        confidence=ALS.confidence,
    )
