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
from training.slates import Slates, label_of, shown_slates
from training.train import Progress

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
    """

    dataset: Dataset
    pictures: dict[str, PictureScores]
    from_us: int
    max_visits: int
    config: RunConfig
    seed: int


def evaluate(scorer: Scorer, question: Question, progress: Progress) -> Figures:
    """Judge every scorer of a bundle by both protocols.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on.
        progress: Is told what is being done.

    Returns:
        Intervals by protocol, scorer and metric; metrics that nothing could be measured by
        are left out.
    """
    sales = {sale.sale_id: sale for sale in question.dataset.sales}
    catalogue = Snapshot.of(sales, question.pictures).catalogue(scorer.topics)
    past = Past(question.dataset.events, catalogue)
    slates = shown_slates(past.events, catalogue, outcome_us=question.config.outcome_us)
    slates = slates.select(np.flatnonzero(slates.now_us >= question.from_us))
    judge = Judge(scorer, past, question.config, question.seed)
    bought_from = last_of_sessions(slates)
    progress.stage(Protocol.SHOWN, len(bought_from))
    shown = _told(judge.shown(bought_from), progress)
    visits = _sample(slates, question)
    progress.stage(Protocol.OPEN, len(visits))
    truth = Truth.read(question.dataset.directory, _exposure_ids(past, visits))
    opened = _told(judge.open(visits, truth), progress)
    judged = {Protocol.SHOWN.value: shown, Protocol.OPEN.value: opened}
    return {protocol: _figures(told, question.seed) for protocol, told in judged.items() if told}


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
    customers = np.array([one.customer for one in judged])
    scorers = judged[0].metrics
    figures = {
        scorer: {
            metric: mean_interval(
                np.array([one.metrics[scorer].get(metric, np.nan) for one in judged]),
                customers,
                seed=seed,
            )
            for metric in metrics
        }
        for scorer, metrics in scorers.items()
    }
    return {
        scorer: {metric: interval for metric, interval in metrics.items() if interval.n}
        for scorer, metrics in figures.items()
    }
