"""Simple scorer: popularity, purchases of the sale and touches of it, with equal weights."""

from typing import Final

import numpy as np

from models.features.schema import FeatureSchema
from models.ranker.logistic import LogisticRanker
from training.ranker.fit_logistic import fit_scale
from training.ranker.training_rows import TrainingRows

_SCORES: Final = ("popularity", "same_sale_purchases")
_RECENCY: Final = "same_sale_recency"  # unknown where the customer never touched the sale


def simple_scorer(rows: TrainingRows, *, schema: FeatureSchema) -> LogisticRanker:
    """Sum popularity, the customer's purchases of a sale and whether they touched it, standardised.

    Nothing of it is learned from outcomes but popularity: with few outcomes such a sum orders
    better than weights that are fitted.

    Args:
        rows: Examples, whose features give means and standard deviations.
        schema: Names of the columns.

    Source:
        Dawes, The robust beauty of improper linear models in decision making, American
        Psychologist, 1979.
    """
    weights = np.isin(schema.names, _SCORES).astype(np.float64)
    unknown_weights = np.zeros(len(weights))
    recency = schema.names.index(_RECENCY)
    share = float(np.isnan(rows.matrix[:, recency]).mean())
    if 0 < share < 1:
        unknown_weights[recency] = -1 / np.sqrt(share * (1 - share))
    return LogisticRanker(fit_scale(rows.matrix), weights, unknown_weights, intercept=0.0)
