"""Cold-start study: a bundle with picture features against one without, on new sales."""

from dataclasses import dataclass, replace
from pathlib import Path

from models.dataset.reading import read_dataset
from models.domain.errors import UserError
from models.domain.units import HOUR_US
from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from training.configuration import RunConfig, TrainingOptions
from training.console import Progress
from training.evaluation.cold_start import Rankings, picture_worth
from training.evaluation.evaluate import Question, evaluate_open
from training.pipeline.train import train
from training.pipeline.training_data import TrainingData
from training.scenes.picture_scores import permuted, score_pictures
from training.statistics.bootstrap import Interval


class NoPicturesError(UserError):
    """A dataset without pictures."""


class NoNewSalesError(UserError):
    """Training data after whose end no visit has new sales."""


@dataclass(frozen=True)
class ColdStart:
    """Settings of the cold-start study.

    Attributes:
        data: The dataset's directory, with what happened after the training data ends.
        new_within_us: A sale is new for so long after it opened, microseconds.
        max_visits: At most so many visits are judged.
        config: Hyper-parameters of both bundles.
        seed: Seed of both bundles, of samples and of the permutation.
        root: Directory of bundles.
        cache: Directory of picture scores.
    """

    data: Path
    new_within_us: int
    max_visits: int
    config: RunConfig
    seed: int
    root: Path
    cache: Path


def prove_cold_start(
    material: TrainingData, proof: ColdStart, *, progress: Progress
) -> dict[str, dict[str, Interval]]:
    """Train with pictures and without, and rank the new sales that were open later.

    Args:
        material: The dataset up to the end of training.
        proof: How the proof is made.
        progress: Receives the stages.

    Returns:
        Intervals by name and metric; see `training.evaluation.cold_start.picture_worth`.

    Raises:
        NoPicturesError: If no picture was seen.
        NoNewSalesError: If no sale that opened just before could be ranked in a later visit.
    """
    if material.scenes is None or not material.pictures:
        msg = f"{proof.data}: no pictures are seen; it needs images/ and labelled scenes/"
        raise NoPicturesError(msg)
    seeing, blind = (
        train(
            part,
            TrainingOptions(config=proof.config, seed=proof.seed),
            root=proof.root,
            progress=progress,
        )
        for part in (material, replace(material, scenes=None, pictures={}))
    )
    scorer = _scorer(seeing)
    question = _question(proof, seeing, material.until_us, progress)
    # Wrong pictures: as many, as good ones, that say nothing of the sale.
    exchanged = replace(question, pictures=permuted(question.pictures, proof.seed))
    pictured = evaluate_open(scorer, question, progress=progress)
    if not pictured:
        hours = proof.new_within_us / HOUR_US
        msg = f"{proof.data}: no later visit had sales that opened at most {hours:g} hours before"
        raise NoNewSalesError(msg)
    rankings = Rankings(
        pictures=pictured,
        without=evaluate_open(_scorer(blind), replace(question, pictures={}), progress=progress),
        permuted=evaluate_open(scorer, exchanged, progress=progress),
    )
    return picture_worth(rankings, seed=proof.seed)


def _scorer(bundle: Path) -> Scorer:
    return Scorer.load(read_bundle(bundle))


def _question(proof: ColdStart, seeing: Path, from_us: int, progress: Progress) -> Question:
    dataset = read_dataset(proof.data)
    progress.stage("pictures", len(dataset.pictures))
    labeller = SceneLabeller.open(seeing)
    return Question(
        dataset=dataset,
        pictures=score_pictures(dataset.images, labeller, cache=proof.cache, tick=progress.tick),
        from_us=from_us,
        learned_until_us=from_us,
        max_visits=proof.max_visits,
        config=proof.config,
        seed=proof.seed,
        new_within_us=proof.new_within_us,
    )
