"""Learning curve: the meta-model fitted on samples of the customers, judged on later slates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from models.features.context import POSITION
from models.features.schema import FeatureSchema
from training.configuration import RunConfig
from training.evaluation.comparison import Differences, Scorers
from training.examples.customer_sample import in_sample
from training.ranker.early_stopping import RankerTraining
from training.ranker.fit_ranker import NothingToRankError, TooFewPurchasesError, fit_meta_model
from training.studies.ablation import ALL, MRR, Halves, board_for, judged_lists

# Halves, since what more data bring falls with the logarithm of their amount.
SHARES: Final = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Shares of the customers that a ranker is fitted on, besides all of them."""

# Chosen: below the difference between two seeds of one configuration.
TOLERANCE: Final = 0.01
"""Share of the reciprocal rank that a sample may cost, by the 95% interval."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What a ranker of the curve was fitted on.

    Attributes:
        share: Of the customers.
        customers: Number of customers with a slate.
        slates: Number of slates.
        outcomes: Number of outcomes, such as purchases.
    """

    share: float
    customers: int
    slates: int
    outcomes: int


@dataclass(frozen=True)
class LearningCurve:
    """Result of a learning curve.

    Attributes:
        sizes: What each ranker was fitted on, ascending; the last is `ALL`.
        means: By share, as `named` gives it, and metric; see `training.studies.ablation`.
        differences: Of every share to `ALL`, paired slate by slate.
        too_few: Shares with too few outcomes to fit a ranker.
    """

    sizes: tuple[SampleSize, ...]
    means: Scorers
    differences: Differences
    too_few: tuple[float, ...]

    @property
    def enough(self) -> float:
        """The smallest share that costs less than `TOLERANCE`, as do all above it; else 1.

        1 says that more data still pay, or that the later slates are too few to tell.
        """
        least = -TOLERANCE * self.means[ALL][MRR].value
        enough = 1.0
        for size in reversed(self.sizes[:-1]):
            if not self.differences[named(size.share)][MRR].interval.low > least:
                break
            enough = size.share
        return enough


def named(share: float) -> str:
    """Return the name of a share in tables."""
    return ALL if share == 1.0 else f"{share:g}"


def learning_curve(
    halves: Halves,
    customer_ids: pl.Series,
    *,
    schema: FeatureSchema,
    config: RunConfig,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Fit the meta-model on ever more customers, and judge each on the later slates of all.

    Recommenders and counts are those of all customers for each.

    Args:
        halves: What is learned from, and what is judged.
        customer_ids: The customer of each code of the slates.
        schema: Names of the columns.
        config: Hyper-parameters; shares are of the customers in its ``sample``.
        seed: Seed of the trees, of resamples and of what a meta-model cannot tell apart.
        tick: Called once a share.

    Raises:
        TooFewPurchasesError: If all customers have too few purchases.
    """
    every = halves.training(schema, config, seed=seed)
    figures: dict[str, list[Mapping[str, float]]] = {}
    sizes, too_few = list[SampleSize](), list[float]()
    for share in (*SHARES, 1.0):
        chosen = in_sample(customer_ids, share * config.sample)[halves.early.customers]
        training = every.select(chosen)
        tick()
        try:
            ranker = fit_meta_model(training)
        except (NothingToRankError, TooFewPurchasesError):
            if share == 1.0:
                raise
            too_few.append(share)
            continue
        figures[named(share)] = judged_lists(
            ranker,
            halves.late,
            matrix=halves.late_matrix,
            position=schema.names.index(POSITION),
            seed=seed,
        )
        sizes.append(_size(share, training))
    board = board_for(figures, halves.late, seed=seed)
    return LearningCurve(tuple(sizes), board.means(), board.differences(ALL), tuple(too_few))


def _size(share: float, training: RankerTraining) -> SampleSize:
    return SampleSize(
        share,
        customers=len(np.unique(training.slates.customers)),
        slates=int(training.distinct.sum()),
        outcomes=sum(training.n_distinct(training.slates.bought)),
    )
