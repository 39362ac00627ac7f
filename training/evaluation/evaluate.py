"""Evaluates a bundle on a dataset, from a moment on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.scoring.scorer import META, Scorer
from training.configuration import RunConfig
from training.console import Progress
from training.evaluation.comparison import Board, Differences, Scorers
from training.evaluation.example_slates import examples
from training.evaluation.measure import Coverage
from training.evaluation.protocol import Extra, Judge, Judged, Protocol, last_of_sessions
from training.evaluation.reliability import Reliability, predict, reliability
from training.evaluation.truth import Truth
from training.examples.point_in_time import PointInTime
from training.examples.sampled_slates import training_slates
from training.examples.slates import Slates, has_impressions, label_of, settled

N_EXAMPLES: Final = 6

FLOOR: Final = "popularity"
"""The scorer that shares of what is possible are counted from."""


@dataclass(frozen=True)
class ProtocolFigures:
    """What one protocol found.

    Attributes:
        scorers: Means by scorer and metric.
        segments: The same by segment.
        differences: Of every other scorer to `META` and to `FLOOR`, by that name.
        lift_shares: Share of the knowable oracle's lift over `FLOOR`, by scorer and metric.
        coverage: Share of all candidates that each scorer put among the first ten of a slate.
        examples: Some of the slates, to be looked at.
    """

    scorers: Scorers
    segments: dict[str, Scorers]
    differences: dict[str, Differences]
    lift_shares: Scorers
    coverage: dict[str, float]
    examples: tuple[Judged, ...]


@dataclass(frozen=True)
class Evaluation:
    """All that was found.

    Attributes:
        protocols: By protocol; what judged nothing is left out.
        catalogue: The sales that rows of slates mean.
        reliability: Calibration by what was predicted; see `training.evaluation.reliability`.
    """

    protocols: dict[str, ProtocolFigures]
    catalogue: Catalogue
    reliability: dict[str, Reliability]


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


Extras = Mapping[str, Mapping[str, Extra]]
"""Further scorers, by protocol and name."""

_NO_EXTRAS: Final[Extras] = MappingProxyType({})


def evaluate(
    scorer: Scorer,
    question: Question,
    *,
    progress: Progress,
    extras: Extras = _NO_EXTRAS,
    protocols: Collection[Protocol] = tuple(Protocol),
) -> Evaluation:
    """Judge every scorer of a bundle.

    Where no impressions are on record, visits stand for them, and there is nothing that the
    protocol ``shown`` could judge.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on.
        progress: Is told what is being done.
        extras: Scorers beside those of the bundle.
        protocols: What they are judged by.

    Returns:
        What was found; what nothing could be measured by is left out.
    """
    judge, slates = judge_of(scorer, question)
    judged: dict[str, list[Judged]] = {}
    if Protocol.SHOWN in protocols:
        judged[Protocol.SHOWN] = _judge_shown(_with(judge, extras, "shown"), slates, progress)
    if Protocol.OPEN in protocols:
        judged[Protocol.OPEN] = _judge_open(
            _with(judge, extras, "open"), slates, question, progress
        )
    told = {name: figures_of(part, seed=question.seed) for name, part in judged.items() if part}
    return Evaluation(
        protocols={name: figures for name, figures in told.items() if figures.scorers},
        catalogue=judge.past.catalogue,
        reliability=_reliability(judge, slates, question, progress),
    )


def evaluate_open(scorer: Scorer, question: Question, *, progress: Progress) -> list[Judged]:
    """Judge every scorer of a bundle by the protocol ``open``, slate by slate.

    The slates depend on the question alone, so that those of two bundles can be paired.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on.
        progress: Is told what is being done.
    """
    judge, slates = judge_of(scorer, question)
    return _judge_open(judge, slates, question, progress)


def judge_of(scorer: Scorer, question: Question) -> tuple[Judge, Slates]:
    """Return who judges a question, and the slates that it is about, ordered by time."""
    past = PointInTime.from_dataset(question.dataset, question.pictures, topics=scorer.topics)
    slates = training_slates(past, question.config, seed=question.seed)
    slates = slates.select(np.flatnonzero(slates.now_us >= question.from_us))
    judge = Judge(
        scorer, past, question.config, question.seed, new_within_us=question.new_within_us
    )
    return judge, slates


def _with(judge: Judge, extras: Extras, protocol: str) -> Judge:
    return replace(judge, extras=extras.get(protocol, {}))


def shown_lists(judge: Judge, slates: Slates) -> Slates:
    """Return the slates that the protocol `shown` judges, in its order."""
    if not has_impressions(judge.past.events) or judge.new_within_us is not None:
        return slates.select(np.empty(0, dtype=np.intp))
    return last_of_sessions(slates)


def _judge_shown(judge: Judge, slates: Slates, progress: Progress) -> list[Judged]:
    bought_from = shown_lists(judge, slates)
    progress.stage(Protocol.SHOWN, len(bought_from))
    return _told(judge.shown(bought_from), progress)


def open_visits(judge: Judge, slates: Slates, *, question: Question) -> Slates:
    """Return the slates that the protocol `open` judges, in its order."""
    if not Truth.is_in(question.dataset.directory):
        # Without the truth, only a visit that ends in a purchase tells rankings apart.
        slates = slates.select(np.flatnonzero(judge.followed_by_purchase(slates)))
    return _sample(slates, question)


def _judge_open(
    judge: Judge, slates: Slates, question: Question, progress: Progress
) -> list[Judged]:
    directory = question.dataset.directory
    visits = open_visits(judge, slates, question=question)
    progress.stage(Protocol.OPEN, len(visits))
    truth = Truth.read(directory, exposure_ids(judge.past, visits))
    return _told(judge.open(visits, truth), progress)


def _sample(slates: Slates, question: Question) -> Slates:
    rng = np.random.default_rng(question.seed)
    n = min(question.max_visits, len(slates))
    return slates.select(np.sort(rng.choice(len(slates), size=n, replace=False)))


def exposure_ids(past: PointInTime, slates: Slates) -> list[str]:
    """Return the exposures of slates that name one."""
    names = (label_of(past.events.exposures, int(code)) for code in slates.exposures)
    return [name for name in names if name is not None]


def _told(judged: Iterable[Judged], progress: Progress) -> list[Judged]:
    told: list[Judged] = []
    for one in judged:
        told.append(one)
        progress.tick()
    return told


def _reliability(
    judge: Judge, slates: Slates, question: Question, progress: Progress
) -> dict[str, Reliability]:
    events, outcome_us = judge.past.events, question.config.outcome_us
    if not has_impressions(events) or question.new_within_us is not None:
        return {}
    end_us = int(events.received_us.max())
    chosen = _sample(settled(slates, end_us, outcome_us=outcome_us), question)
    if not len(chosen):
        return {}
    progress.stage("calibration")
    truth = Truth.read(question.dataset.directory, exposure_ids(judge.past, chosen))
    predictions = predict(judge, chosen, truth=truth)
    return {name: reliability(part, seed=question.seed) for name, part in predictions.items()}


def figures_of(judged: Sequence[Judged], *, seed: int) -> ProtocolFigures:
    """Work out the figures of judged slates; ``seed`` is that of the resamples."""
    board, coverage = Board(judged, seed=seed), Coverage()
    for one in judged:
        coverage.add(one.candidates, one.chosen)
    differences = {reference: board.differences(reference) for reference in (META, FLOOR)}
    return ProtocolFigures(
        scorers=board.means(),
        segments=board.segments(),
        differences={name: found for name, found in differences.items() if found},
        lift_shares=board.lift_shares(FLOOR),
        coverage=coverage.shares(),
        examples=examples(judged, N_EXAMPLES),
    )
