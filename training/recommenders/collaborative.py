"""Fits collaborative filtering: factors of sales, and their regression on content."""

from typing import Final

import numpy as np

from models.recommenders.collaborative import Collaborative
from models.recommenders.content_encoder import Projection
from training.recommenders.als import CONFIDENCE, REGULARISATION, factorise
from training.recommenders.content_encoder import fit_encoder
from training.recommenders.interactions import Interactions

_CONTENT_RIDGE: Final = 300.0  # of the regression on content, in customers; chosen, not measured
# A sale with so many customers has half of its factors from content. At 5 customers ALS alone
# scored 0.234, by content alone 0.272: a sale's own factors say who was shown it (decision 0020).
_OWN: Final = 100.0

MIN_CUSTOMERS: Final = 50  # chosen, not measured
"""Customers with events beyond impressions from which factors are fitted."""


def fit_collaborative(interactions: Interactions) -> Collaborative:
    """Factorise interactions, and predict the factors of sales from their content.

    Factors of a sale of ``n`` customers are ``content + n / (n + 100) * (own - content)``. There
    are none where fewer than 50 customers interacted.
    """
    catalogue = interactions.catalogue
    customers, rows = interactions.touched()
    # Customers without interactions are left out: the solver's cost grows with their number.
    present, customers = np.unique(customers, return_inverse=True)
    encoder = fit_encoder(catalogue, interactions.looks_by_sale())
    factors = np.empty((len(catalogue), 0))
    if len(present) >= MIN_CUSTOMERS:
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
        gramian=final.T @ final + REGULARISATION * np.eye(final.shape[1]),
        confidence=CONFIDENCE,
    )
