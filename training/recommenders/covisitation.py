"""Fits covisitation: the sales with which a sale shares customers."""

from typing import Final

import numpy as np

from models.recommenders.covisitation import Covisitation
from models.recommenders.item_similarity import ItemSimilarity
from training.recommenders.interactions import Interactions
from training.recommenders.sparse import shared

N_COMPANIONS: Final = 20  # similar sales kept per sale; chosen, not measured

# Chosen, not measured: pairs grow with the square of a customer's sales.
MAX_TOUCHED: Final = 200
"""Sales of a customer that count at most."""

# Shrinkage of a strength, in customers: two sales may meet by chance. Chosen, not measured.
_EVIDENCE: Final = 5.0


def fit_covisitation(interactions: Interactions) -> Covisitation:
    """Find the sales with which each sale shares most customers.

    The strength of ``n_ij`` customers in common is ``n_ij / (5 + sqrt(n_i * n_j))``.
    """
    customers, rows = interactions.touched()
    first = np.searchsorted(customers, customers)
    # The first rows of each customer: which ones does not matter, but must not vary.
    kept = np.arange(len(customers)) - first < MAX_TOUCHED
    customers, rows = customers[kept], rows[kept]
    n_sales = len(interactions.catalogue)
    pairs = shared(customers, rows, n_groups=interactions.n_customers, n_rows=n_sales)
    touched = np.bincount(rows, minlength=n_sales)
    together = np.sqrt(touched[pairs.rows].astype(np.float64) * touched[pairs.others])
    strengths = pairs.counts / (_EVIDENCE + together)
    # The strongest pairs of every sale; of equal ones those of lower rows, so that the bundle does
    # not depend on the order of the pairs.
    order = np.lexsort((pairs.others, -strengths, pairs.rows))
    rows = pairs.rows[order]
    known, starts = np.unique(rows, return_index=True)
    sizes = np.diff(np.append(starts, len(rows)))
    rank = np.arange(len(rows)) - np.repeat(starts, sizes)
    kept = rank < N_COMPANIONS
    place = np.repeat(np.arange(len(known)), sizes)[kept], rank[kept]
    keys = interactions.catalogue.keys
    companions = np.zeros((len(known), N_COMPANIONS), dtype=np.uint64)
    table = np.zeros((len(known), N_COMPANIONS))
    companions[place] = keys[pairs.others[order][kept]]
    table[place] = strengths[order][kept]
    return Covisitation(ItemSimilarity(keys[known], companions, table))
