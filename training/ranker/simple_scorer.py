"""Simple scorer: popularity, purchases of the sale and touches of it, by weights chosen once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.ranker.logistic import LogisticRanker, Scale
from models.recommenders.popularity import Popularity
from training.ranker.fit_logistic import fit_scale
from training.ranker.training_rows import TrainingRows

# Log-odds of a sale that was bought once, against one that never was, in units of the doubled
# count, and of one that was touched. Of 1, 1.5 and 2 this had the highest mean reciprocal rank in
# 32 shops of each of four kinds with 50 to 300 purchases, none of them a wholesaler's
# (2026-11-30, docs/evaluation.md).
_OWN_WEIGHT: Final = 1.0
_RATE_WEIGHT: Final = 0.3  # log-odds of a standard deviation of a rate; chosen

_POPULARITY: Final = "popularity"
_BESTSELLERS: Final = "bestsellers"
_PURCHASES: Final = "same_sale_purchases"
_RECENCY: Final = "same_sale_recency"  # unknown where the customer never touched the sale


def simple_scorer(rows: TrainingRows, *, schema: FeatureSchema) -> LogisticRanker:
    """Sum popularity, the customer's purchases of a sale, and whether they touched it.

    Nothing of it is learned from outcomes but popularity. Counts are in units of their own: a
    young shop has seen hardly a sale bought twice, and popular sales have few events, so that
    means and deviations of its first weeks say nothing of the next ones.

    Args:
        rows: Examples, whose features give means and standard deviations of the others, and of
            popularity where it is a rate of impressions.
        schema: Names of the columns.

    Source:
        Dawes, The robust beauty of improper linear models in decision making, American
        Psychologist, 1979, for sums that are not fitted.
    """
    scale = fit_scale(rows.matrix)
    weights, unknown_weights = np.zeros(len(schema.names)), np.zeros(len(schema.names))
    purchases = schema.names.index(_PURCHASES)
    scale = _in_logarithms(scale, purchases, unit=np.log(2.0))
    weights[purchases] = _OWN_WEIGHT
    unknown_weights[schema.names.index(_RECENCY)] = -_OWN_WEIGHT
    counts = _longest_counts(schema)
    if counts is not None:
        column = schema.names.index(counts)
        # Purchases in proportion to past events, as of a sale that is bought by chance.
        scale, weights[column] = _in_logarithms(scale, column, unit=1.0), 1.0
    elif _POPULARITY in schema.names:
        weights[schema.names.index(_POPULARITY)] = _RATE_WEIGHT
    return LogisticRanker(scale, weights, unknown_weights, intercept=0.0)


def reads(schema: FeatureSchema) -> NDArray[np.bool_]:
    """Return which features the simple scorer reads, shape ``(n_features,)``."""
    popularity = _longest_counts(schema) or _POPULARITY
    return np.isin(schema.names, (popularity, _PURCHASES, _RECENCY))


def _longest_counts(schema: FeatureSchema) -> str | None:
    """Return the feature that counts events of a sale for the longest time.

    None with impressions: then popularity is a rate.
    """
    if all(one.click_rate for one in schema.recommenders if isinstance(one, Popularity)):
        return None
    return _BESTSELLERS if _BESTSELLERS in schema.names else _POPULARITY


def _in_logarithms(scale: Scale, column: int, *, unit: float) -> Scale:
    logarithmic, centres, scales = (
        part.copy() for part in (scale.logarithmic, scale.centres, scale.scales)
    )
    logarithmic[column], centres[column], scales[column] = 1.0, 0.0, unit
    return Scale(logarithmic, centres, scales)
