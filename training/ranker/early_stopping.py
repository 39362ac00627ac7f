"""Fits the steps of the meta-model: first on slates that later ones judge, then on all of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.ranker.linear_offset import LinearOffset
from models.ranker.ranker import LightGbmRanker, sigmoid
from models.ranker.two_stage import UNCALIBRATED, TwoStageRanker
from training.configuration import RunConfig, TreeConfig
from training.examples.slates import Slates
from training.ranker.fit_offset import fit_buying_offset, fit_offset, flat_offset
from training.ranker.fit_trees import fit_trees
from training.ranker.position_bias import sale_days
from training.ranker.training_rows import TrainingRows
from training.statistics.metrics import log_loss

BUYING_LEAVES: Final = 7
"""Leaves of a tree of the second step, which has few examples."""

MIN_OPENED_A_PURCHASE: Final = 2
"""Below so many opened sales a purchase, clicks say hardly more than purchases do."""

LEANINGS: Final = (300.0, 1_000.0, 3_000.0, 10_000.0)
"""Precisions of the prior that what makes buyers of visitors is what makes them open: a standard
deviation of a feature adds 0.06 to 0.01 beyond. The later slates choose."""

MetaModel = LightGbmRanker | TwoStageRanker


@dataclass(frozen=True, eq=False)
class StoppingScore:
    """A meta-model that has not learned from the later slates, and what they decided.

    Attributes:
        ranker: The meta-model, uncalibrated.
        leaning: One of `LEANINGS`; the first where there is one step only.
    """

    ranker: MetaModel
    leaning: float


@dataclass(frozen=True, eq=False)
class Learning:
    """Slates to learn from, and how.

    Attributes:
        slates: Settled slates, ordered by time.
        matrix: Features of their entries, shape ``(n_entries, n_features)``.
        schema: Names of the columns.
        config: Shares and hyper-parameters.
        seed: Seed of the trees.
        n_threads: Threads; results are the same for any number.
    """

    slates: Slates
    matrix: NDArray[np.float32]
    schema: FeatureSchema
    config: RunConfig
    seed: int
    n_threads: int = 1

    @property
    def is_staged(self) -> bool:
        """Whether clicks that led to nothing are on record: opening is learned beside buying."""
        n_opened, n_bought = int(self.opened.sum()), int(self.slates.bought.sum())
        return self.config.through_clicks and n_opened >= MIN_OPENED_A_PURCHASE * n_bought

    @cached_property
    def opened(self) -> NDArray[np.bool_]:
        """Whether each entry was clicked or bought, shape ``(n_entries,)``."""
        return self.slates.clicked | self.slates.bought

    @cached_property
    def _sale_days(self) -> NDArray[np.int64]:
        return sale_days(self.slates)

    def rows(self, labels: NDArray[np.bool_]) -> TrainingRows:
        """Return all entries as examples."""
        return TrainingRows(self.matrix, labels.astype(np.float64), self.slates.weights)

    def split(self, labels: NDArray[np.bool_]) -> tuple[TrainingRows, TrainingRows]:
        """Split entries so that those of the last share of the slates come after all others."""
        n_early = int(len(self.slates) * (1 - self.config.holdout_share))
        cut, rows = int(self.slates.starts[n_early]), self.rows(labels)
        return (
            TrainingRows(rows.matrix[:cut], rows.labels[:cut], rows.weights[:cut]),
            TrainingRows(rows.matrix[cut:], rows.labels[cut:], rows.weights[cut:]),
        )

    def judged(self) -> StoppingScore:
        """Learn from the earlier slates; the later ones decide how many trees, and how leaning."""
        trees = self.config.trees
        if not self.is_staged:
            early, late = self.split(self.slates.bought)
            return StoppingScore(self._step(early, self._start(early), trees, late), LEANINGS[0])
        early, late = self.split(self.opened)
        opening = self._step(early, self._start(early), trees, late)
        early, late = self._bought_of_opened(*self.split(self.slates.bought))
        starts = {one: self._buying_start(early, opening.offset, one) for one in LEANINGS}
        leaning = min(LEANINGS, key=lambda one: _loss(starts[one], late))
        buying = self._step(early, starts[leaning], _smaller(trees), late)
        return StoppingScore(TwoStageRanker(opening, buying, UNCALIBRATED), leaning)

    def whole(self, judged: StoppingScore) -> MetaModel:
        """Learn from all slates what was learned from the earlier ones, uncalibrated.

        The latest are those that tell most of what comes next. Lines are fitted anew, and as
        many trees as the later slates found best.
        """
        ranker, trees = judged.ranker, self.config.trees
        bought = self.rows(self.slates.bought)
        if not isinstance(ranker, TwoStageRanker):
            return self._step(bought, self._start(bought), _as_many(trees, ranker))
        opened, bought = self.rows(self.opened), bought.select(self.opened)
        opening = self._step(opened, self._start(opened), _as_many(trees, ranker.opening))
        start = self._buying_start(bought, opening.offset, judged.leaning)
        buying = self._step(bought, start, _as_many(_smaller(trees), ranker.buying))
        return TwoStageRanker(opening, buying, UNCALIBRATED)

    def _bought_of_opened(
        self, early: TrainingRows, late: TrainingRows
    ) -> tuple[TrainingRows, TrainingRows]:
        n_early = len(early.labels)
        return early.select(self.opened[:n_early]), late.select(self.opened[n_early:])

    def _start(self, rows: TrainingRows) -> LinearOffset:
        """Fit what trees start from on the first entries, as many as there are rows."""
        if self.config.caller_orders:
            return flat_offset(rows, schema=self.schema)
        groups = self._sale_days[: len(rows.labels)]
        return fit_offset(rows, groups, schema=self.schema, seed=self.seed)

    def _buying_start(
        self, rows: TrainingRows, opening: LinearOffset, leaning: float
    ) -> LinearOffset:
        if self.config.caller_orders:
            return flat_offset(rows, schema=self.schema)
        return fit_buying_offset(rows, opening, schema=self.schema, ridge=leaning)

    def _step(
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


def _smaller(trees: TreeConfig) -> TreeConfig:
    """Return trees for a tenth of the examples."""
    return trees.model_copy(update={"leaves": min(trees.leaves, BUYING_LEAVES)})


def _as_many(trees: TreeConfig, ranker: LightGbmRanker) -> TreeConfig:
    return trees.model_copy(update={"max_trees": ranker.n_trees})


def _loss(offset: LinearOffset, rows: TrainingRows) -> float:
    return log_loss(sigmoid(offset.log_odds(rows.matrix)), rows.labels, weights=rows.weights)
