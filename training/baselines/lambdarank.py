"""A plain LightGBM LambdaRank on a few features of shown lists."""
# LightGBM types its options as unknown.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from training.baselines.log_state import CandidateFacts

# LightGBM's defaults but for the size of trees and leaves, as the lists are few; chosen.
_PARAMETERS: Final = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [10],
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "num_threads": 1,
    "seed": 0,
    "deterministic": True,
    "verbosity": -1,
}
_N_TREES, _PATIENCE, _LATE_SHARE = 400, 40, 0.2  # chosen
MIN_LISTS: Final = 50  # with an outcome: fewer teach trees nothing; chosen


@dataclass(frozen=True, eq=False)
class RankedList:
    """A list to learn from.

    Attributes:
        features: Of `features_of`, shape ``(n_sales, n_features)``.
        labels: 2 for a purchase, 1 for a click, else 0, shape ``(n_sales,)``.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]


def features_of(facts: CandidateFacts, positions: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Return the features of a list, shape ``(n_sales, 15)``, NaN where unknown.

    Args:
        facts: Facts of its candidates.
        positions: Place of each in the list of a caller who ordered it, None without one.
    """
    n, prices, rate = len(facts.rows), facts.prices, facts.recent_rate
    mean = np.nanmean(prices) if not np.isnan(prices).all() else np.nan
    columns = (
        np.full(n, np.nan) if positions is None else positions,
        np.full(n, n),
        facts.looks,
        facts.successes,
        (facts.successes + 1) / (facts.looks + 25),
        rate,
        _ranks(-rate),
        facts.popularity,
        facts.own_purchases,
        facts.own_touches,
        facts.touched_age_h,
        _ranks(facts.touched_age_h),
        facts.open_age_h,
        prices,
        prices / mean,
    )
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


class LambdaRank:
    """Boosted trees that order a list."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        """Keep fitted trees."""
        self._booster = booster

    @classmethod
    def fit(cls, lists: Sequence[RankedList]) -> Self | None:
        """Fit on the earlier lists, and stop on the latest fifth of them.

        Args:
            lists: Ordered by time, each with an outcome.

        Returns:
            The ranker; None from fewer than `MIN_LISTS` lists.

        Source:
            Burges, From RankNet to LambdaRank to LambdaMART: An Overview, 2010.
        """
        if len(lists) < MIN_LISTS:
            return None
        cut = round(len(lists) * (1 - _LATE_SHARE))
        early = _dataset(lists[:cut], None)
        booster = lightgbm.train(
            dict(_PARAMETERS),
            early,
            num_boost_round=_N_TREES,
            valid_sets=[_dataset(lists[cut:], early)],
            callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
        )
        return cls(booster)

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score the candidates of a list, shape ``(n_sales,)``, higher first."""
        return np.asarray(self._booster.predict(features), dtype=np.float64)


def _dataset(lists: Sequence[RankedList], reference: lightgbm.Dataset | None) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        np.concatenate([one.features for one in lists]),
        np.concatenate([one.labels for one in lists]),
        group=[len(one.labels) for one in lists],
        reference=reference,
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank from 0 for the smallest, equal ones alike, NaN where unknown."""
    # Without ties in the order given: that of a shown list is the ranking that was logged.
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    return np.where(np.isnan(values), np.nan, ranks)
