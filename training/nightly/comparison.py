"""Paired comparison of two bundles on the same slates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.scoring.bundle import read_bundle
from models.scoring.scorer import META, Scorer
from training.configuration import RunConfig
from training.evaluation.protocol import EvaluatedSlate, SlateEvaluator, last_of_sessions
from training.examples.point_in_time import PointInTime
from training.examples.sampled_slates import training_slates
from training.examples.slates import Slates, has_impressions, settled
from training.scenes.picture_scores import pictures_of
from training.statistics.bootstrap import Interval, mean_interval, resample

# Slates of each measure at most, so that a night's end can be foreseen. Chosen, not measured.
MAX_SLATES: Final = 4_000

SHOWN_MRR: Final = "shown_mrr"
OPEN_RECALL: Final = "open_recall_at_10"
LOG_LIKELIHOOD: Final = "shown_log_likelihood"
ONE_RATE: Final = "one_rate"
"""An order that expects the same of all sales, for what likelihoods are compared with."""

# Keeps the logarithm of a probability finite; far below any that a calibrated model gives.
_TINY: Final = 1e-12


@dataclass(frozen=True)
class BundleComparison:
    """Paired comparison of bundles: the slates and settings that they are compared on.

    Attributes:
        dataset: All that is known.
        from_us: Slates from then on are judged, microseconds since the epoch.
        until_us: End of the data.
        config: Rules by which purchases are credited to slates.
        seed: Seed of samples and resamples.
        cache: Directory of picture features.
    """

    dataset: Dataset
    from_us: int
    until_us: int
    config: RunConfig
    seed: int
    cache: Path


@dataclass(frozen=True)
class Measured:
    """A measure on each slate; higher is better.

    Attributes:
        customers: Customer of each slate, shape ``(n,)``.
        values: By order, each of shape ``(n,)``.
    """

    customers: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]


Measures = Mapping[str, Measured]


@dataclass(frozen=True, eq=False)
class JudgedBundle:
    """A bundle, and the settled slates of a comparison as it knows them.

    Attributes:
        evaluator: Ranks slates by the bundle's scorer.
        slates: Equal for all bundles of a comparison.
        pictures: What the bundle knows of the dataset's pictures, by sale id.
    """

    evaluator: SlateEvaluator
    slates: Slates
    pictures: Mapping[str, PictureScores]

    @classmethod
    def load(cls, directory: Path, comparison: BundleComparison) -> Self:
        """Load a bundle and look at the slates from its state.

        Raises:
            BundleError: If the bundle cannot be scored by this software.
        """
        scorer = Scorer.load(read_bundle(directory))
        seen = pictures_of(
            scorer, directory, images=comparison.dataset.images, cache=comparison.cache
        )
        past = PointInTime.from_dataset(
            comparison.dataset, seen, topics=scorer.topics, half_lives=scorer.counts.half_lives
        )
        slates = training_slates(past, comparison.config, seed=comparison.seed)
        slates = slates.select(np.flatnonzero(slates.now_us >= comparison.from_us))
        slates = settled(slates, comparison.until_us, outcome_us=comparison.config.outcome_us)
        evaluator = SlateEvaluator(scorer, past, comparison.config, comparison.seed)
        return cls(evaluator, slates, seen)

    def with_scorer(self, scorer: Scorer) -> Self:
        """Return the same ranker by a scorer with other recommenders."""
        return replace(self, evaluator=replace(self.evaluator, scorer=scorer))


def measure(judged: JudgedBundle, comparison: BundleComparison) -> Measures:
    """Measure the orders of a bundle on the settled slates of a comparison.

    Args:
        judged: The bundle.
        comparison: Slates and settings.

    Returns:
        By measure: the reciprocal rank of the first bought sale of the lists that were
        shown, the recall among all open sales, and the mean log likelihood of what was
        shown. What nothing could be measured by is left out.
    """
    evaluator, slates = judged.evaluator, judged.slates
    past = evaluator.past
    followed = slates.select(np.flatnonzero(evaluator.followed_by_outcome(slates)))
    bought_from = evaluator.open(_sample(followed, comparison), None)
    found = {OPEN_RECALL: _by_order(bought_from, metric="recall_at_10")}
    if has_impressions(past.events):
        found[SHOWN_MRR] = _by_order(evaluator.shown(last_of_sessions(slates)), metric="mrr")
        found[LOG_LIKELIHOOD] = _likelihoods(evaluator, _sample(slates, comparison))
    return {name: measured for name, measured in found.items() if len(measured.customers)}


def differences(
    candidate: Measures, reference: Measures, *, order: str, seed: int
) -> dict[str, Interval]:
    """Compare the candidate's meta-model with an order of a reference, slate by slate.

    Args:
        candidate: From `measure`.
        reference: From `measure`, with the same comparison.
        order: Order of the reference: its meta-model, or one of its recommenders.
        seed: Seed of the resamples.

    Returns:
        Mean of candidate less reference with its 95% interval over customers, by measure;
        those that the order has no value of, or that fewer than two customers could be judged by,
        are left out.
    """
    found = {
        name: mean_interval(
            measured.values[META] - reference[name].values[order], measured.customers, seed=seed
        )
        for name, measured in candidate.items()
        if order in reference[name].values and np.ptp(measured.customers)
    }
    return {name: interval for name, interval in found.items() if interval.n}


def information(candidate: Measures, reference: Measures, *, seed: int) -> Interval | None:
    """Compare what the probabilities of two bundles know of the slates that were shown.

    Returns:
        Mean log likelihood of candidate less reference, as a share of the reference's above that
        of one rate of all sales, with its 95% interval over customers; None if none was measured,
        or the reference knows no more than one rate.
    """
    if LOG_LIKELIHOOD not in candidate or LOG_LIKELIHOOD not in reference:
        return None
    known = reference[LOG_LIKELIHOOD]
    gained = candidate[LOG_LIKELIHOOD].values[META] - known.values[META]
    above = known.values[META] - known.values[ONE_RATE]
    if above.sum() <= 0:
        return None
    return resample(gained[:, None], known.customers, seed=seed, per=above[:, None]).intervals()[0]


def _likelihoods(evaluator: SlateEvaluator, sample: Slates) -> Measured:
    rate = np.clip(sample.bought.mean(), _TINY, 1 - _TINY)
    found: dict[str, list[float]] = {META: [], ONE_RATE: []}
    queries = evaluator.past.queries(sample, caller_orders=evaluator.config.caller_orders)
    for slate, query in enumerate(queries):
        bought = sample.bought[sample.entries(slate)]
        own = np.clip(evaluator.scorer.probabilities(query), _TINY, 1 - _TINY)
        for name, p in ((META, own), (ONE_RATE, np.full(len(bought), rate))):
            found[name].append(float(np.where(bought, np.log(p), np.log1p(-p)).mean()))
    return Measured(sample.customers, {name: np.array(one) for name, one in found.items()})


def _by_order(slates: Iterable[EvaluatedSlate], *, metric: str) -> Measured:
    judged = list(slates)
    orders = list(judged[0].metrics) if judged else []
    return Measured(
        np.array([one.customer for one in judged], dtype=np.int64),
        {name: np.array([one.metrics[name][metric] for one in judged]) for name in orders},
    )


def _sample(slates: Slates, comparison: BundleComparison) -> Slates:
    # One seed for all: both bundles are judged on the same slates, so that differences are paired.
    rng = np.random.default_rng(comparison.seed)
    n = min(MAX_SLATES, len(slates))
    return slates.select(np.sort(rng.choice(len(slates), size=n, replace=False)))
