"""Metrics of scorers over slates: means, paired differences, shares of the possible lift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.experiments.analysis.multiple_tests import holm
from models.scoring.scorer import META
from training.evaluation.measure import EXPECTED
from training.evaluation.protocol import KNOWABLE, SlateMetrics
from training.evaluation.segment import segment_masks
from training.statistics.bootstrap import Interval, resample
from training.statistics.difference import Difference

# Adjusted for 27 scorers, the least p-value of 1,000 resamples is 0.054: none would be a verdict.
_N_RESAMPLES: Final = 2_000

Scorers = dict[str, dict[str, Interval]]
"""Intervals by scorer and metric."""


Differences = dict[str, dict[str, Difference]]
"""Differences by scorer and metric."""

_REFERENCE: Final = "reference"


@dataclass(frozen=True)
class PairedFigures:
    """Meta-models of two bundles on the same slates.

    Attributes:
        reference_id: Id of the bundle that is compared with.
        own: Means of the evaluated bundle, by metric.
        reference: Means of the other one, by metric.
        differences: Evaluated bundle less the other, by metric; p-values are of each metric alone.
    """

    reference_id: str
    own: Mapping[str, Interval]
    reference: Mapping[str, Interval]
    differences: Mapping[str, Difference]


def pair(
    own: Sequence[SlateMetrics], reference: Sequence[SlateMetrics], *, reference_id: str, seed: int
) -> PairedFigures:
    """Compare the meta-models of two bundles, slate by slate.

    Args:
        own: Slates as the evaluated bundle ranks them.
        reference: The same slates as the other one ranks them.
        reference_id: Id of the other one.
        seed: Seed of the resamples.
    """
    pairs = [
        SlateMetrics(
            one.customer,
            one.situation,
            {META: one.metrics[META], _REFERENCE: other.metrics[META]},
        )
        for one, other in zip(own, reference, strict=True)
    ]
    board = Board(pairs, seed=seed)
    means = board.means()
    return PairedFigures(
        reference_id,
        means.get(META, {}),
        means.get(_REFERENCE, {}),
        board.differences(_REFERENCE).get(META, {}),
    )


class Board:
    """The metrics of every scorer on every slate, as columns."""

    def __init__(self, judged: Sequence[SlateMetrics], *, seed: int) -> None:
        """Arrange the metrics of slates as columns; ``seed`` is that of the resamples."""
        self._seed = seed
        self._customers = np.array([one.customer for one in judged], dtype=np.int64)
        self._segments = segment_masks([one.situation for one in judged])
        # A slate may lack metrics, such as those by the truth, which only some slates have.
        measured = dict.fromkeys(
            (scorer, metric)
            for one in judged
            for scorer, metrics in one.metrics.items()
            for metric in metrics
        )
        self._columns = {
            (scorer, metric): np.array(
                [one.metrics.get(scorer, {}).get(metric, np.nan) for one in judged]
            )
            for scorer, metric in measured
        }

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, in the order of their first occurrence."""
        return list(dict.fromkeys(metric for _, metric in self._columns))

    def means(self) -> Scorers:
        """Average every metric of every scorer; metrics without a value are left out."""
        return self._nested(self._columns)

    def segments(self) -> dict[str, Scorers]:
        """Average within every segment, by its name."""
        # Other slates become NaN and are not left out: all segments then share their resamples.
        found = {
            name: self._nested(
                {key: np.where(mask, column, np.nan) for key, column in self._columns.items()}
            )
            for name, mask in self._segments.items()
        }
        return {name: scorers for name, scorers in found.items() if scorers}

    def differences(self, reference: str) -> Differences:
        """Compare every scorer with a reference scorer on every metric, on slates with both."""
        found: Differences = {}
        for metric in self.metrics:
            own = self._columns.get((reference, metric))
            if own is None:
                continue
            gaps = {
                scorer: column - own
                for (scorer, name), column in self._columns.items()
                if name == metric and scorer != reference
            }
            if not gaps:
                continue
            resampled = resample(
                np.stack(list(gaps.values()), axis=1),
                self._customers,
                seed=self._seed,
                n_resamples=_N_RESAMPLES,
            )
            p_values: list[float] = holm(resampled.p_values()).tolist()
            for scorer, interval, p in zip(gaps, resampled.intervals(), p_values, strict=True):
                if interval.n:
                    found.setdefault(scorer, {})[metric] = Difference(interval, p)
        return found

    def lift_shares(self, floor: str) -> Scorers:
        """Divide each scorer's gain over ``floor`` by the gain of the knowable oracle.

        Args:
            floor: The scorer whose share is 0.

        Returns:
            Intervals of the ratios, for expected purchases and revenue; empty without a truth.
        """
        shares: dict[tuple[str, str], NDArray[np.float64]] = {}
        whole: dict[tuple[str, str], NDArray[np.float64]] = {}
        for (scorer, metric), column in self._columns.items():
            low, high = self._columns.get((floor, metric)), self._columns.get((KNOWABLE, metric))
            # Purchases that were made say nothing of the best possible order.
            if metric in EXPECTED and low is not None and high is not None:
                shares[scorer, metric] = column - low
                whole[scorer, metric] = high - low
        return self._nested(shares, per=whole)

    def _nested(
        self,
        columns: Mapping[tuple[str, str], NDArray[np.float64]],
        *,
        per: Mapping[tuple[str, str], NDArray[np.float64]] | None = None,
    ) -> Scorers:
        if not columns or not len(self._customers):
            return {}
        resampled = resample(
            np.stack(list(columns.values()), axis=1),
            self._customers,
            seed=self._seed,
            per=None if per is None else np.stack([per[key] for key in columns], axis=1),
        )
        nested: Scorers = {}
        for (scorer, metric), interval in zip(columns, resampled.intervals(), strict=True):
            if interval.n:
                nested.setdefault(scorer, {})[metric] = interval
        return nested
