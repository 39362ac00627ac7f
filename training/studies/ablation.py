"""Ablation: the meta-model fitted again without each recommender, evaluated on later slates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.errors import UserError
from models.domain.event import PURCHASE, from_us
from models.features.context import POSITION
from models.features.schema import FeatureSchema
from models.ranker.ranker import Ranker
from training.configuration import RunConfig
from training.evaluation.comparison import Board, Differences, Scorers
from training.evaluation.protocol import SlateMetrics, ranked
from training.evaluation.segment import Situation
from training.examples.slates import Slates, settled
from training.pipeline.train import TrainingExamples
from training.ranker.early_stopping import RankerTraining
from training.ranker.fit_ranker import fit_meta_model
from training.statistics.metrics import log_loss, reciprocal_rank

ALL: Final = "all"

MRR: Final = "mrr"
LOG_LIKELIHOOD: Final = "log_likelihood"

# Chosen: the usual fifth of a hold-out.
_LAST_SHARE: Final = 0.2

_NOWHERE: Final = Situation(market=None, n_events=0, age_us=None)


class NothingToJudgeError(UserError):
    """Training data after whose end nothing was bought."""


def require_later_purchases(events: EventTable, until_us: int) -> None:
    """Refuse a time that nothing is bought after, before the long work.

    Raises:
        NothingToJudgeError: If nothing is.
    """
    events = net_of_refunds(events)
    bought_us = events.at_us[events.kinds == PURCHASE]
    if not (bought_us >= until_us).any():
        last = (
            f"the last purchase is of {from_us(int(bought_us.max()))}"
            if len(bought_us)
            else "nothing was ever bought"
        )
        msg = f"nothing was bought after that time: {last}"
        raise NothingToJudgeError(msg)


@dataclass(frozen=True)
class Ablation:
    """Result of an ablation.

    Attributes:
        means: By meta-model, `ALL` and ``without NAME``, and metric: `MRR` of what was bought
            in the shown list, and `LOG_LIKELIHOOD` a sale at the position shown.
        differences: Of every ``without NAME`` to `ALL`, paired slate by slate.
    """

    means: Scorers
    differences: Differences


@dataclass(frozen=True, eq=False)
class Halves:
    """Slates before and after a moment, with their features.

    Attributes:
        early: Settled slates that are learned from.
        early_matrix: Features of their entries.
        early_repeated: Which of them are there a second time, shape ``(n_slates,)``.
        late: Slates that are judged, each once.
        late_matrix: Features of their entries.
    """

    early: Slates
    early_matrix: NDArray[np.float32]
    early_repeated: NDArray[np.bool_]
    late: Slates
    late_matrix: NDArray[np.float32]

    @classmethod
    def of(cls, examples: TrainingExamples, until_us: int, *, outcome_us: int) -> Self:
        """Part slates by time; what is learned from was settled at that moment.

        Args:
            examples: Slates and features.
            until_us: The moment, microseconds since the epoch.
            outcome_us: How long a purchase may come after what it is credited to.

        Raises:
            NothingToJudgeError: If nothing was bought of what was shown after it.
        """
        slates = examples.slates
        known = len(settled(slates, until_us, outcome_us=outcome_us))
        # Slates with masked history repeat others, and would count twice.
        later = np.flatnonzero((slates.now_us >= until_us) & ~examples.repeated)
        late = slates.select(later)
        if not late.bought.any():
            msg = "nothing was bought of what was shown after that time: choose an earlier one"
            raise NothingToJudgeError(msg)
        entries = np.repeat(np.isin(np.arange(len(slates)), later), np.diff(slates.starts))
        # Slates are in the order of time, so that what is settled comes first.
        cut = int(slates.starts[known])
        return cls(
            early=slates.select(np.arange(known)),
            early_matrix=examples.matrix[:cut],
            early_repeated=examples.repeated[:known],
            late=late,
            late_matrix=examples.matrix[entries],
        )

    def training(self, schema: FeatureSchema, config: RunConfig, *, seed: int) -> RankerTraining:
        """Return the training on what is learned from; ``seed`` is that of the trees."""
        return RankerTraining(
            self.early, self.early_matrix, schema, config, seed, repeated=self.early_repeated
        )


def begin_of_last(examples: TrainingExamples) -> int:
    """Return the moment of the first of the last fifth of the slates, which judge and teach none.

    Raises:
        NothingToJudgeError: If there is no slate.
    """
    slates = examples.slates
    if not len(slates):
        msg = "of nothing that was shown the outcome is known yet: give more data, or a later end"
        raise NothingToJudgeError(msg)
    return int(slates.now_us[int((1 - _LAST_SHARE) * len(slates))])


def without(
    schema: FeatureSchema, matrix: NDArray[np.float32], *, left_out: str | None
) -> NDArray[np.float32]:
    """Return features among which those of a recommender are unknown everywhere.

    Trees never look at what is always unknown.

    Args:
        schema: Names of the columns.
        matrix: Shape ``(n, n_features)``.
        left_out: Name of the recommender; None leaves all.
    """
    columns = [
        schema.names.index(column)
        for recommender in schema.recommenders
        for column in recommender.columns
        if recommender.name == left_out
    ]
    kept = matrix.copy()
    kept[:, columns] = np.nan
    return kept


def ablate(
    halves: Halves,
    schema: FeatureSchema,
    *,
    config: RunConfig,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> Ablation:
    """Fit the meta-model with all recommenders and without each, and compare what follows.

    Args:
        halves: What is learned from, and what is judged.
        schema: The recommenders and their columns.
        config: Hyper-parameters.
        seed: Seed of the trees, of resamples and of what a meta-model cannot tell apart.
        tick: Called once a fit.

    Raises:
        TooFewPurchasesError: If there is too little to learn from.
    """
    figures: dict[str, list[Mapping[str, float]]] = {}
    # None first: all recommenders, which the others are compared with.
    for name in (None, *(recommender.name for recommender in schema.recommenders)):
        early = without(schema, halves.early_matrix, left_out=name)
        ranker = fit_meta_model(
            replace(halves, early_matrix=early).training(schema, config, seed=seed)
        )
        late = without(schema, halves.late_matrix, left_out=name)
        figures[f"without {name}" if name else ALL] = judged_lists(
            ranker, halves.late, matrix=late, position=schema.names.index(POSITION), seed=seed
        )
        tick()
    board = board_for(figures, halves.late, seed=seed)
    return Ablation(board.means(), board.differences(ALL))


def board_for(
    figures: Mapping[str, Sequence[Mapping[str, float]]], slates: Slates, *, seed: int
) -> Board:
    """Return the board of meta-models on the same slates.

    Args:
        figures: By meta-model what `judged_lists` measured.
        slates: The slates.
        seed: Seed of the resamples.
    """
    judged = [
        SlateMetrics(
            customer=int(customer),
            situation=_NOWHERE,
            metrics={name: of_slates[slate] for name, of_slates in figures.items()},
        )
        for slate, customer in enumerate(slates.customers.tolist())
    ]
    return Board(judged, seed=seed)


def judged_lists(
    ranker: Ranker, slates: Slates, *, matrix: NDArray[np.float32], position: int, seed: int
) -> list[Mapping[str, float]]:
    """Measure a meta-model on shown lists.

    Args:
        ranker: The meta-model.
        slates: The lists.
        matrix: Features of their entries, shape ``(n_entries, n_features)``.
        position: Which column is the position.
        seed: Orders what has the same probability.

    Returns:
        By slate: `MRR` at position 1, NaN where nothing was bought, and `LOG_LIKELIHOOD` as shown.
    """
    rng = np.random.default_rng(seed)
    shown = ranker.probabilities(matrix)
    # As in service: the position is not known before the order is.
    first = matrix.copy()
    first[:, position] = 1
    orders = ranker.probabilities(first)
    found: list[Mapping[str, float]] = []
    for slate in range(len(slates)):
        entries = slates.entries(slate)
        bought, weights = slates.bought[entries], slates.weights[entries]
        # Ties at random: the order of entries is the shown one, which gives away clicks.
        shuffled = rng.permutation(len(bought))
        ranking = shuffled[ranked(orders[entries][shuffled])]
        mrr = reciprocal_rank(bought[ranking]) if bought.any() else float("nan")
        loss = log_loss(shown[entries], bought.astype(np.float64), weights=weights)
        found.append({MRR: mrr, LOG_LIKELIHOOD: -loss})
    return found
