"""Offline evaluation of a bundle on the part of a dataset after a given time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.ranker.objective import TrainingObjective
from models.scoring.scorer import META, Scorer
from training.baselines.baselines import Baselines, fit_baselines
from training.configuration import RunConfig
from training.console import Progress
from training.evaluation.comparison import Board, Differences, PairedFigures, Scorers, pair
from training.evaluation.example_slates import examples
from training.evaluation.measure import Coverage
from training.evaluation.predictions import predict
from training.evaluation.protocol import (
    EvaluatedSlate,
    Extra,
    Protocol,
    Record,
    SlateEvaluator,
    last_of_sessions,
)
from training.evaluation.truth import Truth
from training.examples.outcomes import objective_for
from training.examples.point_in_time import PointInTime
from training.examples.sampled_slates import training_slates
from training.examples.slates import Slates, has_impressions, label_of, settled
from training.statistics.reliability import Reliability, reliability

N_EXAMPLES: Final = 6  # slates shown in a report; chosen: two of each kind of customer

FLOOR: Final = "popularity"  # what a shop without a model would show: a share of 0 of the lift


@dataclass(frozen=True, slots=True)
class Extent:
    """Size and period of the slates of a protocol.

    Attributes:
        n_slates: Number of slates.
        n_customers: Number of customers that they belong to.
        n_outcomes: Number of sales bought from them, or clicked with the objective `click`.
        first_us: Moment of the first slate, microseconds since the epoch.
        last_us: Moment of the last slate.
    """

    n_slates: int
    n_customers: int
    n_outcomes: int
    first_us: int
    last_us: int


@dataclass(frozen=True)
class ProtocolFigures:
    """Results of one protocol.

    Attributes:
        extent: Size and period of its slates.
        scorers: Means by scorer and metric.
        segments: The same by segment.
        differences: Of every other scorer to `META` and to `FLOOR`, by that name.
        lift_shares: Share of the knowable oracle's lift over `FLOOR`, by scorer and metric.
        coverage: Share of all candidates that each scorer put among the first ten of a slate.
        examples: Some of the slates, for the report.
        objective: What the bundle was trained for, which decides by which metric it is judged.
        silent: Scorers that gave all candidates of every slate one value: they are left out, as
            their order is that of chance.
    """

    extent: Extent
    scorers: Scorers
    segments: dict[str, Scorers]
    differences: dict[str, Differences]
    lift_shares: Scorers
    coverage: dict[str, float]
    examples: tuple[EvaluatedSlate, ...]
    objective: TrainingObjective
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation.

    Attributes:
        protocols: By protocol; those without a slate are left out.
        catalogue: The sales, by row.
        reliability: Calibration by kind of prediction; see `training.evaluation.predictions`.
        paired: The bundle beside a reference bundle, by protocol; empty without one.
    """

    protocols: dict[str, ProtocolFigures]
    catalogue: Catalogue
    reliability: dict[str, Reliability]
    paired: dict[str, PairedFigures] = field(default_factory=dict[str, PairedFigures])


@dataclass(frozen=True)
class Question:
    """The data and options of an evaluation.

    Attributes:
        dataset: The whole dataset, with the events before each slate.
        pictures: Scores of its pictures by the bundle's scene model, by sale id.
        from_us: First moment of the slates evaluated, microseconds since the epoch.
        learned_until_us: End of the data that the bundle learned from; the baselines learn from
            the same.
        max_visits: Largest number of visits of the protocol ``open``, sampled.
        config: The bundle's configuration: how purchases are credited.
        seed: Seed of samples and resamples.
        new_within_us: Rank only sales that opened at most this long before; None for all. Shown
            lists hold other sales too, so this applies to the protocol ``open`` only.
    """

    dataset: Dataset
    pictures: dict[str, PictureScores]
    from_us: int
    learned_until_us: int
    max_visits: int
    config: RunConfig
    seed: int
    new_within_us: int | None = None

    def judged(self, slates: Slates) -> Slates:
        """Return the slates from `from_us` on."""
        return slates.select(np.flatnonzero(slates.now_us >= self.from_us))


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
    record: Record | None = None,
    reference: tuple[Scorer, Question] | None = None,
) -> Evaluation:
    """Evaluate every scorer of a bundle, and the baselines.

    Without logged impressions slates are sampled visits, and the protocol ``shown`` has none.
    Metrics without a value are left out.

    Args:
        scorer: The bundle's scorer.
        question: The data and options.
        progress: Receives the stages.
        extras: Scorers beside these.
        protocols: The protocols to run.
        record: Receives every slate.
        reference: A bundle to compare with, slate by slate, and the question as it answers it:
            with its own pictures.
    """
    evaluator, slates = evaluator_of(scorer, question)
    slates, past = question.judged(slates), evaluator.past
    progress.stage("baselines")
    until_us, config = question.learned_until_us, question.config
    fitted = fit_baselines(
        past.events, past.catalogue, until_us=until_us, config=config, with_ranker=True
    )
    judged: dict[str, list[EvaluatedSlate]] = {}
    for protocol in protocols:
        beside = replace(
            evaluator,
            extras=extras.get(protocol, {}),
            # Made anew for each: they only go forward in time.
            baselines=Baselines(fitted, past.events, catalogue=past.catalogue),
            record=record,
        )
        judged[protocol] = _evaluate_by(protocol, beside, slates, question, progress)
    objective = objective_for(config, past.events)
    figures = {
        name: found
        for name, part in judged.items()
        if part and (found := figures_of(part, seed=question.seed, objective=objective)).scorers
    }
    paired: dict[str, PairedFigures] = {}
    if reference is not None:
        beside, _ = evaluator_of(*reference)
        for name in figures:
            paired[name] = pair(
                judged[name],
                _evaluate_by(Protocol(name), beside, slates, question, progress),
                reference_id=beside.scorer.bundle_id,
                seed=question.seed,
            )
    return Evaluation(
        protocols=figures,
        catalogue=past.catalogue,
        reliability=_reliability(evaluator, slates, question, progress),
        paired=paired,
    )


def evaluate_open(
    scorer: Scorer, question: Question, *, progress: Progress
) -> list[EvaluatedSlate]:
    """Evaluate every scorer of a bundle by the protocol ``open``, slate by slate.

    The slates depend on the question alone, so that those of two bundles can be paired.

    Args:
        scorer: The bundle's scorer.
        question: The data and options.
        progress: Receives the stages.
    """
    evaluator, slates = evaluator_of(scorer, question)
    return _evaluate_open(evaluator, question.judged(slates), question, progress)


def evaluator_of(scorer: Scorer, question: Question) -> tuple[SlateEvaluator, Slates]:
    """Return the evaluator of a question and all slates of its dataset, ordered by time."""
    past = PointInTime.from_dataset(
        question.dataset,
        question.pictures,
        topics=scorer.topics,
        half_lives=scorer.counts.half_lives,
    )
    slates = training_slates(past, question.config, seed=question.seed)
    evaluator = SlateEvaluator(
        scorer, past, question.config, question.seed, new_within_us=question.new_within_us
    )
    return evaluator, slates


def shown_lists(evaluator: SlateEvaluator, slates: Slates) -> Slates:
    """Return the slates of the protocol `shown`, in its order."""
    if not has_impressions(evaluator.past.events) or evaluator.new_within_us is not None:
        return slates.select(np.empty(0, dtype=np.intp))
    return last_of_sessions(slates)


def open_visits(evaluator: SlateEvaluator, slates: Slates, *, question: Question) -> Slates:
    """Return the slates of the protocol `open`, in its order."""
    if not Truth.is_in(question.dataset.directory):
        # Without the truth, rankings differ only at visits that end in a purchase.
        slates = slates.select(np.flatnonzero(evaluator.followed_by_outcome(slates)))
    return _sample(slates, question)


def _evaluate_open(
    evaluator: SlateEvaluator, slates: Slates, question: Question, progress: Progress
) -> list[EvaluatedSlate]:
    directory = question.dataset.directory
    visits = open_visits(evaluator, slates, question=question)
    progress.stage(Protocol.OPEN, len(visits))
    truth = Truth.read(directory, exposure_ids(evaluator.past, visits))
    return _collected(evaluator.open(visits, truth), progress)


def _sample(slates: Slates, question: Question) -> Slates:
    rng = np.random.default_rng(question.seed)
    n = min(question.max_visits, len(slates))
    # In the order of time: the replay of events only goes forward.
    return slates.select(np.sort(rng.choice(len(slates), size=n, replace=False)))


def exposure_ids(past: PointInTime, slates: Slates) -> list[str]:
    """Return the exposure ids of slates, of those that have one."""
    names = (label_of(past.events.exposures, int(code)) for code in slates.exposures)
    return [name for name in names if name is not None]


def _collected(judged: Iterable[EvaluatedSlate], progress: Progress) -> list[EvaluatedSlate]:
    collected: list[EvaluatedSlate] = []
    for one in judged:
        collected.append(one)
        progress.tick()
    return collected


def _reliability(
    evaluator: SlateEvaluator, slates: Slates, question: Question, progress: Progress
) -> dict[str, Reliability]:
    events, outcome_us = evaluator.past.events, question.config.outcome_us
    if not has_impressions(events) or question.new_within_us is not None:
        return {}
    end_us = int(events.received_us.max())
    # An outcome that is not known yet would count as none.
    chosen = _sample(settled(slates, end_us, outcome_us=outcome_us), question)
    if not len(chosen):
        return {}
    progress.stage("calibration", len(chosen))
    truth = Truth.read(question.dataset.directory, exposure_ids(evaluator.past, chosen))
    predictions = predict(evaluator, chosen, truth=truth, tick=progress.tick)
    return {name: reliability(part, seed=question.seed) for name, part in predictions.items()}


def _evaluate_by(
    protocol: Protocol,
    evaluator: SlateEvaluator,
    slates: Slates,
    question: Question,
    progress: Progress,
) -> list[EvaluatedSlate]:
    if protocol is Protocol.OPEN:
        return _evaluate_open(evaluator, slates, question, progress)
    bought_from = shown_lists(evaluator, slates)
    progress.stage(Protocol.SHOWN, len(bought_from))
    return _collected(evaluator.shown(bought_from), progress)


def figures_of(
    judged: Sequence[EvaluatedSlate],
    *,
    seed: int,
    objective: TrainingObjective = TrainingObjective.PURCHASE,
) -> ProtocolFigures:
    """Compute the results of a protocol from at least one slate; ``seed``: of the resamples."""
    silent = _silent(judged)
    judged = [one.without(silent) for one in judged]
    board, coverage = Board(judged, seed=seed), Coverage()
    for one in judged:
        coverage.add(one.candidates, one.chosen)
    differences = {reference: board.differences(reference) for reference in (META, FLOOR)}
    extent = Extent(
        n_slates=len(judged),
        n_customers=len({one.customer for one in judged}),
        n_outcomes=sum(len(one.bought) for one in judged),
        first_us=min(one.now_us for one in judged),
        last_us=max(one.now_us for one in judged),
    )
    return ProtocolFigures(
        extent=extent,
        scorers=board.means(),
        segments=board.segments(),
        differences={name: found for name, found in differences.items() if found},
        lift_shares=board.lift_shares(FLOOR),
        coverage=coverage.shares(),
        examples=examples(judged, N_EXAMPLES),
        objective=objective,
        silent=silent,
    )


def _silent(judged: Sequence[EvaluatedSlate]) -> tuple[str, ...]:
    # Of a slate of one candidate nothing can be said.
    found = [one.is_split for one in judged if len(one.candidates) > 1]
    names = dict.fromkeys(name for one in found for name in one if name != META)
    return tuple(name for name in names if not any(one.get(name, False) for one in found))
