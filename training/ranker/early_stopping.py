"""Early stopping of the ranker: fits on earlier slates, stopped on later ones; then on all."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped_array import rows_of
from models.features.schema import FeatureSchema
from models.ranker.linear_offset import LinearOffset
from models.ranker.logistic import LogisticRanker
from models.ranker.ranker import LightGbmRanker, sigmoid
from models.ranker.two_stage import UNCALIBRATED, TwoStageRanker
from training.configuration import RunConfig, TreeConfig
from training.examples.slates import Slates
from training.ranker.better_part import better_part, is_below, judged_slates, parts_of
from training.ranker.fit_logistic import fit_logistic
from training.ranker.fit_offset import (
    examination,
    fit_buying_offset,
    fit_offset,
    fit_rank_offset,
    flat_offset,
)
from training.ranker.fit_trees import fit_trees
from training.ranker.position_bias import sale_days
from training.ranker.training_rows import TrainingRows
from training.statistics.metrics import log_loss

_NEVER_SPLIT: Final = 2**31 - 1  # rows of a leaf that no data have
_BUYING_LEAVES: Final = 7  # of a tree of the second stage, which has few examples; chosen
# With fewer, the later slates hold too few to choose a number of trees by. 64 redemptions of
# coupons chose 600, and an AUC of 0.84 there became 0.53 on the next campaign; 0.71 without
# (2026-11-30, docs/evaluation.md). Eight sellers of tickets with about 250 had a mean reciprocal
# rank of 0.537 with trees and 0.538 without, eight cut wholesalers with 280 0.207 and 0.260.
_MIN_OUTCOMES_FOR_TREES: Final = 300
# With fewer opened sales per purchase, clicks add little to purchases. Chosen, not measured.
_MIN_OPENED_PER_PURCHASE: Final = 2
# Prior standard deviations of a weight of 0.06 to 0.01. Three worlds chose 3,000, 10,000 and 300:
# none suits all (decision 0026).
BUYING_RIDGES: Final = (300.0, 1_000.0, 3_000.0, 10_000.0)
"""Ridge penalties of P(buys | opened) around a multiple of P(opens), tried on the later slates."""

MetaModel = LightGbmRanker | TwoStageRanker


@dataclass(frozen=True, eq=False)
class EarlyFit:
    """A ranker fitted on the earlier slates, with the choices made on the later ones.

    Attributes:
        ranker: The ranker, uncalibrated, with the best numbers of trees.
        buying_ridge: One of `BUYING_RIDGES`; the first with one stage only.
        part: Name of the only feature that the ranker reads, None if it reads all.
    """

    ranker: MetaModel
    buying_ridge: float
    part: str | None


@dataclass(frozen=True, eq=False)
class RankerTraining:
    """Slates, features and options of a ranker fit.

    Attributes:
        slates: Settled slates, ordered by time.
        matrix: Features of their entries, shape ``(n_entries, n_features)``.
        schema: Names of the columns.
        config: Shares and hyperparameters.
        seed: Seed of the trees.
        repeated: Whether each slate is there a second time, with masked history, see
            `ColdStartMask`, shape ``(n_slates,)``; None: none is.
        ranked: Whether a ranker of this product ordered each slate, same shape; None: none.
        n_threads: Threads; results are the same for any number.
    """

    slates: Slates
    matrix: NDArray[np.float32]
    schema: FeatureSchema
    config: RunConfig
    seed: int
    repeated: NDArray[np.bool_] | None = None
    ranked: NDArray[np.bool_] | None = None
    n_threads: int = 1

    @property
    def has_two_stages(self) -> bool:
        """Whether P(opens) is fitted beside P(buys | opened): if enough clicks were logged."""
        n_opened, n_bought = int(self.opened.sum()), int(self.slates.bought.sum())
        return self.config.through_clicks and n_opened >= _MIN_OPENED_PER_PURCHASE * n_bought

    @property
    def n_early(self) -> int:
        """Number of the earlier slates; the later ones are the last ``holdout_share``."""
        return int(len(self.slates) * (1 - self.config.holdout_share))

    @property
    def distinct(self) -> NDArray[np.bool_]:
        """Whether each slate is no repeated one, shape ``(n_slates,)``."""
        n = len(self.slates)
        return np.ones(n, dtype=np.bool_) if self.repeated is None else ~self.repeated

    def n_distinct(self, outcomes: NDArray[np.bool_]) -> tuple[int, int]:
        """Count outcomes of the earlier and the later slates, without those of repeated slates.

        Args:
            outcomes: Whether each entry has the outcome, shape ``(n_entries,)``.
        """
        once = outcomes & self.is_shown
        cut = int(self.slates.starts[self.n_early])
        return int(once[:cut].sum()), int(once[cut:].sum())

    @cached_property
    def opened(self) -> NDArray[np.bool_]:
        """Whether each entry was clicked or bought, shape ``(n_entries,)``."""
        return self.slates.clicked | self.slates.bought

    @cached_property
    def early_logistic(self) -> LogisticRanker:
        """Logistic regression of purchases on all features, fitted on the earlier slates."""
        early, _ = self.split(self.slates.bought)
        return fit_logistic(early, seed=self.seed)

    @property
    def is_shown(self) -> NDArray[np.bool_]:
        """Whether each entry is of no repeated slate, shape ``(n_entries,)``."""
        return np.repeat(self.distinct, np.diff(self.slates.starts))

    @cached_property
    def shown(self) -> TrainingRows:
        """The entries of all slates that are no repeated ones, labelled by the objective."""
        return self.rows(self.slates.bought).select(self.is_shown)

    @cached_property
    def shown_later(self) -> TrainingRows:
        """Those of the later slates, which nothing that is judged by them may be fitted on."""
        _, late = self.split(self.slates.bought)
        return late.select(self.is_shown[-len(late.labels) :])

    def select(self, chosen: NDArray[np.bool_]) -> "RankerTraining":
        """Return the training on some of the slates.

        Args:
            chosen: Which, shape ``(n_slates,)``.
        """
        return replace(
            self,
            slates=self.slates.select(np.flatnonzero(chosen)),
            matrix=rows_of(
                self.matrix, np.flatnonzero(np.repeat(chosen, np.diff(self.slates.starts)))
            ),
            repeated=None if self.repeated is None else self.repeated[chosen],
            ranked=None if self.ranked is None else self.ranked[chosen],
        )

    def rows(self, labels: NDArray[np.bool_]) -> TrainingRows:
        """Return all entries as labelled examples."""
        return TrainingRows(self.matrix, labels.astype(np.float64), self.slates.weights)

    def split(self, labels: NDArray[np.bool_]) -> tuple[TrainingRows, TrainingRows]:
        """Split the entries by time, at the last ``holdout_share`` of the slates."""
        cut, rows = int(self.slates.starts[self.n_early]), self.rows(labels)
        return (
            TrainingRows(rows.matrix[:cut], rows.labels[:cut], rows.weights[:cut]),
            TrainingRows(rows.matrix[cut:], rows.labels[cut:], rows.weights[cut:]),
        )

    def fit_early(self) -> EarlyFit:
        """Fit on the earlier slates; the later ones choose numbers of trees, ridge and part.

        A part that orders the later slates better than the ranker, and no worse than a logistic
        regression on all features, is the ranker: see `training.ranker.better_part`.
        """
        fit = self._fit_two_stages() if self.has_two_stages else self._fit_one_stage()
        part = self._better_part(fit.ranker)
        return fit if part is None else self._fit_one_stage(part)

    def fit_all(self, early: EarlyFit) -> MetaModel:
        """Fit on all slates, uncalibrated, with the choices of the early fit.

        The latest slates, which stopped the early fit, say most about the next ones.
        """
        ranker, trees = early.ranker, self.config.trees
        bought = self.rows(self.slates.bought)
        if not isinstance(ranker, TwoStageRanker):
            offset = self._offset(bought, self.slates.bought, early.part)
            trees = trees if early.part is None else _one_leaf(trees)
            return self._fit_stage(bought, offset, _as_many(trees, ranker))
        opened, bought = self.rows(self.opened), bought.select(self.opened)
        offset = self._offset(opened, self.opened)
        opening = self._fit_stage(opened, offset, _as_many(trees, ranker.opening))
        offset = self._buying_offset(bought, opening.offset, early.buying_ridge)
        buying = self._fit_stage(bought, offset, _as_many(_smaller(trees), ranker.buying))
        return TwoStageRanker(opening, buying, UNCALIBRATED)

    def _fit_one_stage(self, part: str | None = None) -> EarlyFit:
        early, late = self.split(self.slates.bought)
        offset = self._offset(early, self.slates.bought, part)
        trees = self._trees(self.slates.bought) if part is None else _one_leaf(self.config.trees)
        ranker = self._fit_stage(early, offset, trees, late)
        return EarlyFit(ranker, BUYING_RIDGES[0], part)

    def _fit_two_stages(self) -> EarlyFit:
        early, late = self.split(self.opened)
        offset = self._offset(early, self.opened)
        opening = self._fit_stage(early, offset, self._trees(self.opened), late)
        early, late = self.split(self.slates.bought)
        n_early = len(early.labels)
        early, late = early.select(self.opened[:n_early]), late.select(self.opened[n_early:])
        offsets = {one: self._buying_offset(early, opening.offset, one) for one in BUYING_RIDGES}
        # Of the line alone: a fit of the trees for every ridge would cost four times as much.
        losses = {
            one: log_loss(sigmoid(offset.log_odds(late.matrix)), late.labels, weights=late.weights)
            for one, offset in offsets.items()
        }
        ridge = min(losses, key=lambda one: losses[one])
        trees = _smaller(self._trees(self.slates.bought))
        buying = self._fit_stage(early, offsets[ridge], trees, late)
        return EarlyFit(TwoStageRanker(opening, buying, UNCALIBRATED), ridge, None)

    def _better_part(self, ranker: MetaModel) -> str | None:
        later = (np.arange(len(self.slates)) >= self.n_early) & self.distinct
        chosen = judged_slates(self.slates, later)
        matrix = self.matrix[np.repeat(chosen, np.diff(self.slates.starts))]
        parts = {
            name: sign * matrix[:, self.schema.names.index(name)].astype(np.float64)
            for name, sign in parts_of(self.schema).items()
        }
        slates = self.slates.select(np.flatnonzero(chosen))
        part = better_part(slates, ranker.log_odds(matrix), parts=parts, seed=self.seed)
        if part is None:
            return None
        # A ranker that failed, as with few trees, is no reason to read a column alone.
        baseline = self.early_logistic.log_odds(matrix)
        return None if is_below(slates, parts[part], than=baseline, seed=self.seed) else part

    def _trees(self, outcomes: NDArray[np.bool_]) -> TreeConfig:
        """Return the options of trees; with few outcomes one tree, the least that there can be."""
        return _one_tree(self.config.trees) if self._are_few(outcomes) else self.config.trees

    def _are_few(self, outcomes: NDArray[np.bool_]) -> bool:
        """Return whether outcomes are too few for trees."""
        return sum(self.n_distinct(outcomes)) < _MIN_OUTCOMES_FOR_TREES

    def _offset(
        self, rows: TrainingRows, outcomes: NDArray[np.bool_], part: str | None = None
    ) -> LinearOffset:
        """Fit the offset of the trees on rows, which are the first entries.

        Args:
            rows: Examples of the earlier slates, or of all.
            outcomes: Outcomes of all entries.
            part: The only feature that it reads, None for all.
        """
        if self.config.caller_orders and part is None:
            if self._are_few(outcomes):
                return fit_rank_offset(rows, schema=self.schema, seed=self.seed)
            return flat_offset(rows, schema=self.schema)
        n = len(rows.labels)
        # Masked histories hide what a list was ordered by.
        shown = self.is_shown[:n]
        effect = examination(
            rows.select(shown),
            sale_days(self.slates)[:n][shown],
            schema=self.schema,
            seed=self.seed,
        )
        return fit_offset(
            rows,
            effect,
            schema=self.schema,
            seed=self.seed,
            part=part,
            starts=self.slates.starts[self.slates.starts <= n] if self._are_few(outcomes) else None,
        )

    def _buying_offset(
        self, rows: TrainingRows, opening: LinearOffset, ridge: float
    ) -> LinearOffset:
        if self.config.caller_orders:
            return flat_offset(rows, schema=self.schema)
        return fit_buying_offset(rows, opening, schema=self.schema, ridge=ridge, seed=self.seed)

    def _fit_stage(
        self,
        rows: TrainingRows,
        offset: LinearOffset,
        trees: TreeConfig,
        stopping: TrainingRows | None = None,
    ) -> LightGbmRanker:
        booster = fit_trees(
            rows,
            stopping,
            names=self.schema.names,
            decreasing=self.schema.decreasing,
            config=trees,
            seed=self.seed,
            offset=offset,
            n_threads=self.n_threads,
        )
        return LightGbmRanker(booster, UNCALIBRATED, offset)


def _one_tree(trees: TreeConfig) -> TreeConfig:
    """Return the options of one tree, the least that there can be."""
    return trees.model_copy(update={"max_trees": 1})


def _one_leaf(trees: TreeConfig) -> TreeConfig:
    """Return the options of one tree that does not split, beside the only part that is read."""
    return trees.model_copy(update={"max_trees": 1, "min_rows_per_leaf": _NEVER_SPLIT})


def _smaller(trees: TreeConfig) -> TreeConfig:
    """Return trees for the few examples of the second stage."""
    return trees.model_copy(update={"leaves": min(trees.leaves, _BUYING_LEAVES)})


def _as_many(trees: TreeConfig, ranker: LightGbmRanker) -> TreeConfig:
    return trees.model_copy(update={"max_trees": ranker.n_trees})
