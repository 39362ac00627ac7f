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
    touched = np.bincount(rows, minlength=n_sales).astype(np.float64)
    known = np.flatnonzero(np.diff(pairs.starts))
    companions = np.zeros((len(known), N_COMPANIONS), dtype=np.uint64)
    table = np.zeros((len(known), N_COMPANIONS))
    keys = interactions.catalogue.keys
    for place, row in enumerate(known.tolist()):
        own = slice(int(pairs.starts[row]), int(pairs.starts[row + 1]))
        others = pairs.others[own]
        strengths = pairs.counts[own] / (_EVIDENCE + np.sqrt(touched[row] * touched[others]))
        # Stable: of equal strengths the lower rows.
        strongest = np.argsort(-strengths, kind="stable")[:N_COMPANIONS]
        companions[place, : len(strongest)] = keys[others[strongest]]
        table[place, : len(strongest)] = strengths[strongest]
    return Covisitation(ItemSimilarity(keys[known], companions, table))
