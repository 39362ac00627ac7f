"""Evaluates a bundle on a dataset, from a moment on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.dataset.reading import Dataset
from models.sale import PictureScores
from models.scoring import Scorer
from models.snapshot import Snapshot
from training.configuration import RunConfig
from training.evaluation.interval import Interval, mean_interval
from training.evaluation.protocol import Judge, Judged, Protocol, last_of_sessions
from training.evaluation.truth import Truth
from training.examples import Past
from training.slates import Slates, has_impressions, label_of
from training.train import Progress, training_slates

Figures = dict[str, dict[str, dict[str, Interval]]]
"""Intervals by protocol, scorer and metric."""


@dataclass(frozen=True)
class Question:
    """What to evaluate on.

    Attributes:
        dataset: The whole dataset: what came before is known, what follows is judged.
        pictures: What its sales' pictures show, by the bundle's scene model.
        from_us: Slates from this moment on are judged, microseconds since the epoch.
        max_visits: At most so many visits are judged by the protocol ``open``.
        config: The bundle's configuration: what a purchase is credited to.
        seed: Seed of samples and resamples.
        new_within_us: Rank only sales that opened at most so long before; None for all. A list
            that was shown holds others, so that only the protocol ``open`` can judge them.
    """

    dataset: Dataset
    pictures: dict[str, PictureScores]
    from_us: int
    max_visits: int
    config: RunConfig
    seed: int
    new_within_us: int | None = None


def evaluate(scorer: Scorer, question: Question, *, progress: Progress) -> Figures:
    """Judge every scorer of a bundle by both protocols.

    Where no impressions are on record, visits stand for them, and there is nothing that the
    protocol ``shown`` could judge.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on.
        progress: Is told what is being done.

    Returns:
        Intervals by protocol, scorer and metric; what nothing could be measured by is left
        out.
    """
    judge, slates = _judge(scorer, question)
    judged = {
        Protocol.SHOWN.value: _judge_shown(judge, slates, progress),
        Protocol.OPEN.value: _judge_open(judge, slates, question, progress),
    }
    figures = {protocol: _figures(told, question.seed) for protocol, told in judged.items()}
    return {protocol: scorers for protocol, scorers in figures.items() if scorers}


def evaluate_open(scorer: Scorer, question: Question, *, progress: Progress) -> list[Judged]:
    """Judge every scorer of a bundle by the protocol ``open``, slate by slate.

    The slates depend on the question alone, so that those of two bundles can be paired.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on.
        progress: Is told what is being done.
    """
    judge, slates = _judge(scorer, question)
    return _judge_open(judge, slates, question, progress)


def _judge(scorer: Scorer, question: Question) -> tuple[Judge, Slates]:
    sales = {sale.sale_id: sale for sale in question.dataset.sales}
    catalogue = Snapshot.of(sales, question.pictures).catalogue(scorer.topics)
    past = Past(question.dataset.events, catalogue)
    slates = training_slates(past, question.config, seed=question.seed)
    slates = slates.select(np.flatnonzero(slates.now_us >= question.from_us))
    judge = Judge(
        scorer, past, question.config, question.seed, new_within_us=question.new_within_us
    )
    return judge, slates


def _judge_shown(judge: Judge, slates: Slates, progress: Progress) -> list[Judged]:
    if not has_impressions(judge.past.events) or judge.new_within_us is not None:
        return []
    bought_from = last_of_sessions(slates)
    progress.stage(Protocol.SHOWN, len(bought_from))
    return _told(judge.shown(bought_from), progress)


def _judge_open(
    judge: Judge, slates: Slates, question: Question, progress: Progress
) -> list[Judged]:
    directory = question.dataset.directory
    if not Truth.is_in(directory):
        # Without the truth, only a visit that ends in a purchase tells rankings apart.
        slates = slates.select(np.flatnonzero(judge.followed_by_purchase(slates)))
    visits = _sample(slates, question)
    progress.stage(Protocol.OPEN, len(visits))
    truth = Truth.read(directory, _exposure_ids(judge.past, visits))
    return _told(judge.open(visits, truth), progress)


def _sample(slates: Slates, question: Question) -> Slates:
    rng = np.random.default_rng(question.seed)
    n = min(question.max_visits, len(slates))
    return slates.select(np.sort(rng.choice(len(slates), size=n, replace=False)))


def _exposure_ids(past: Past, slates: Slates) -> list[str]:
    names = (label_of(past.events.exposures, int(code)) for code in slates.exposures)
    return [name for name in names if name is not None]


def _told(judged: Iterable[Judged], progress: Progress) -> list[Judged]:
    told: list[Judged] = []
    for one in judged:
        told.append(one)
        progress.tick()
    return told


def _figures(judged: list[Judged], seed: int) -> dict[str, dict[str, Interval]]:
    customers = np.array([one.customer for one in judged], dtype=np.int64)
    # Not every slate is judged by all: the truth may be known of some only.
    measured = dict.fromkeys(
        (scorer, metric)
        for one in judged
        for scorer, metrics in one.metrics.items()
        for metric in metrics
    )
    figures: dict[str, dict[str, Interval]] = {}
    for scorer, metric in measured:
        values = np.array([one.metrics.get(scorer, {}).get(metric, np.nan) for one in judged])
        interval = mean_interval(values, customers, seed=seed)
        if interval.n:
            figures.setdefault(scorer, {})[metric] = interval
    return figures
