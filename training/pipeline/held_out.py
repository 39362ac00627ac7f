"""Figures of a ranker on later slates, which it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped_array import rows_of
from models.features.feature import Scope
from models.features.schema import FeatureSchema
from models.recommenders.segment_popularity import segment_for
from models.scoring.scorer import META
from training.baselines.baselines import Baselines, fit_baselines
from training.configuration import RunConfig
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates
from training.ranker.calibration import out_of_fold
from training.ranker.early_stopping import MetaModel, RankerTraining
from training.statistics.bootstrap import Interval, resample
from training.statistics.metrics import list_auc, ndcg_at_k, reciprocal_rank
from training.statistics.reliability import Predictions, Reliability, reliability

K: Final = 10  # usual in the field, and about what a home page shows at once
# Slates that are ranked, calibrated on, and permuted: each takes some seconds at most; chosen.
MAX_RANKED: Final = 2_000
MAX_CALIBRATED: Final = 2_500
MAX_PERMUTED: Final = 300

Intervals = dict[str, dict[str, Interval]]
"""By scorer and metric."""

Orders = Mapping[str, NDArray[np.float64]]
"""Order values of the entries of all slates by scorer, higher first, each ``(n_entries,)``."""


@dataclass(frozen=True, eq=False)
class HeldOutSlates:
    """Later slates, and the ranker that was fitted on the earlier ones.

    Attributes:
        slates: Slates, ordered by time.
        matrix: Features of their entries, shape ``(n_entries, n_features)``.
        schema: Names of the columns.
        ranker: The ranker.
        seed: Of ties, permutations and resamples.
    """

    slates: Slates
    matrix: NDArray[np.float32]
    schema: FeatureSchema
    ranker: MetaModel
    seed: int

    @classmethod
    def from_training(cls, training: RankerTraining, ranker: MetaModel) -> Self:
        """Take the later slates of a training, without those that are repeated.

        Args:
            training: Slates and features.
            ranker: Fitted on the earlier slates.
        """
        every = cls(training.slates, training.matrix, training.schema, ranker, training.seed)
        later = np.arange(len(training.slates)) >= training.n_early
        return every.select(later & training.distinct)

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the slates of a mask."""
        entries = np.flatnonzero(np.repeat(chosen, np.diff(self.slates.starts)))
        slates = self.slates.select(np.flatnonzero(chosen))
        return replace(self, slates=slates, matrix=rows_of(self.matrix, entries))

    def spread(self, n: int) -> Self:
        """Return at most ``n`` of the slates, evenly over them."""
        total = len(self.slates)
        chosen = np.zeros(total, dtype=np.bool_)
        if total:
            chosen[np.linspace(0, total - 1, min(n, total)).astype(np.intp)] = True
        return self.select(chosen)

    def sold(self) -> Self:
        """Return the slates that a sale was bought from."""
        before = np.concatenate([[0], np.cumsum(self.slates.bought)])[self.slates.starts]
        return self.select(np.diff(before) > 0)

    def measure(self, orders: Orders) -> dict[tuple[str, str], NDArray[np.float64]]:
        """Measure orders, ties broken at random; by scorer and metric, each ``(n_slates,)``."""
        rng = np.random.default_rng(self.seed)
        metrics = ("mrr", f"ndcg_at_{K}", "auc")
        found = {(name, m): np.empty(len(self.slates)) for name in orders for m in metrics}
        for slate in range(len(self.slates)):
            entries = self.slates.entries(slate)
            bought = self.slates.bought[entries]
            shuffled = rng.permutation(len(bought))
            for name, order in orders.items():
                ranking = shuffled[np.argsort(-order[entries][shuffled], kind="stable")]
                ranked = bought[ranking]
                gain = ndcg_at_k(ranked.astype(np.float64), K)
                values = (reciprocal_rank(ranked), gain, list_auc(ranked))
                for metric, value in zip(metrics, values, strict=True):
                    found[name, metric][slate] = value
        return found

    def intervals(
        self,
        columns: Mapping[tuple[str, str], NDArray[np.float64]],
        *,
        within: NDArray[np.bool_] | None = None,
    ) -> Intervals:
        """Average columns with intervals over customers, of the slates of a mask.

        Columns of one customer alone are left out: they say nothing of how customers differ.
        """
        table = np.stack(list(columns.values()), axis=1)
        if within is not None:
            table = np.where(within[:, None], table, np.nan)
        found: Intervals = {}
        resampled = resample(table, self.slates.customers, seed=self.seed)
        each = zip(columns, resampled.intervals(), resampled.n_customers > 1, strict=True)
        for (name, metric), interval, is_of_several in each:
            if is_of_several:
                found.setdefault(name, {})[metric] = interval
        return found


def orders_of(held_out: HeldOutSlates, past: PointInTime, *, config: RunConfig) -> Orders:
    """Return the orders of the meta-model, the recommenders and the baselines.

    Baselines learn from the events before the first slate; the plain LambdaRank is left to
    `training.evaluation`, as it takes as long as a small ranker.
    """
    slates, matrix, names = held_out.slates, held_out.matrix, held_out.schema.names
    orders = {META: held_out.ranker.log_odds(matrix)}
    for one in held_out.schema.recommenders:
        column = matrix[:, names.index(next(iter(one.columns)))].astype(np.float64)
        orders[one.name] = np.nan_to_num(column, nan=-np.inf)
    until_us = int(slates.now_us[0])
    fitted = fit_baselines(past.events, past.catalogue, until_us=until_us, config=config)
    baselines = Baselines(fitted, past.events, catalogue=past.catalogue)
    parts = [
        baselines.orders(
            int(slates.customers[slate]),
            slates.rows[slates.entries(slate)],
            now_us=int(slates.now_us[slate]) - 1,
            positions=slates.known_positions(slate),
        )
        for slate in range(len(slates))
    ]
    return orders | {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def segments_of(held_out: HeldOutSlates, past: PointInTime) -> dict[str, NDArray[np.bool_]]:
    """Return the slates of cold, warm and hot customers, each a mask ``(n_slates,)``."""
    kinds = [segment_for(n) for n in past.n_known_events(held_out.slates).tolist()]
    return {
        f"customers: {kind}": np.array([one == kind for one in kinds])
        for kind in sorted(set(kinds))
    }


def calibration_of(held_out: HeldOutSlates) -> Reliability:
    """Measure probabilities where they were shown, against purchases.

    The line of the calibration is fitted on half of the customers and measured on the others, and
    the other way round.
    """
    slates, matrix, ranker = held_out.slates, held_out.matrix, held_out.ranker
    customers = np.repeat(slates.customers, np.diff(slates.starts))
    labels = slates.bought.astype(np.float64)
    probabilities = out_of_fold(
        ranker.log_odds(matrix),
        ranker.p_examined(matrix),
        labels=labels,
        weights=slates.weights,
        customers=customers,
    )
    return reliability(Predictions(probabilities, labels, customers), seed=held_out.seed)


def importances_of(held_out: HeldOutSlates) -> dict[str, Interval]:
    """Return how much the reciprocal rank falls where a group of features is permuted.

    Returns:
        By recommender, and for the other features by their scope; the largest first.

    Source:
        Breiman, Random Forests, 2001, section 10, for groups of columns.
    """
    rng = np.random.default_rng(held_out.seed)
    own = held_out.measure({META: held_out.ranker.log_odds(held_out.matrix)})[META, "mrr"]
    losses: dict[tuple[str, str], NDArray[np.float64]] = {}
    for group, columns in _groups(held_out.schema).items():
        permuted = held_out.matrix.copy()
        permuted[:, columns] = permuted[rng.permutation(len(permuted))][:, columns]
        found = held_out.measure({META: held_out.ranker.log_odds(permuted)})
        losses[group, "mrr"] = own - found[META, "mrr"]
    intervals = {name: one["mrr"] for name, one in held_out.intervals(losses).items()}
    return dict(sorted(intervals.items(), key=lambda item: -item[1].value))


def _groups(schema: FeatureSchema) -> dict[str, Sequence[int]]:
    groups: dict[str, list[int]] = {
        one.name: [schema.names.index(name) for name in one.columns] for one in schema.recommenders
    }
    for column, (scope, _) in enumerate(schema.features.values()):
        if scope is not Scope.RECOMMENDER:
            groups.setdefault(f"features of the {scope.value}", []).append(column)
    return dict(groups)
