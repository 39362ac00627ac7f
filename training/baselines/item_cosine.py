"""Item-item cosine: similarity of sales by the customers who touched them."""
# scipy types its sparse matrices as unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable
from models.domain.event import TOUCHES


class ItemCosine:
    """Cosines between sales, each one the set of customers who touched it."""

    def __init__(self, vectors: csr_matrix) -> None:
        """Keep a unit vector a sale, shape ``(n_sales, n_customers)``."""
        self._vectors = vectors

    @classmethod
    def fit(cls, events: EventTable, catalogue: Catalogue, *, until_us: int) -> Self:
        """Count the customers of each sale in the events received before a moment."""
        rows, customers = catalogue.rows_for(events.sale_keys), events.customers.codes
        kept = (rows >= 0) & np.isin(events.kinds, sorted(TOUCHES))
        kept &= events.received_us < until_us
        pairs = np.unique(np.stack([rows[kept], customers[kept]]), axis=1)
        touched = np.bincount(pairs[0], minlength=len(catalogue))
        shape = (len(catalogue), len(events.customers.values))
        return cls(csr_matrix((1 / np.sqrt(touched[pairs[0]]), (pairs[0], pairs[1])), shape=shape))

    def scores(self, own: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of cosines to the sales that a customer touched, shape ``(n_sales,)``.

        Args:
            own: Catalogue rows of these sales; a sale is like itself, too.
            rows: Catalogue rows of the candidates, shape ``(n_sales,)``.

        Source:
            Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms, WWW 2001.
        """
        taste = np.asarray(self._vectors[own].sum(axis=0)).ravel()
        return np.asarray(self._vectors[rows] @ taste, dtype=np.float64)
