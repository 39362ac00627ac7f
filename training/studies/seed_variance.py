"""Seed variance: trains and evaluates the meta-model once per seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import read_bundle
from models.scoring.scorer import META, Scorer
from training.configuration import RunConfig, TrainingOptions
from training.console import Progress
from training.evaluation.evaluate import Question, evaluate
from training.pipeline.train import train
from training.pipeline.training_data import TrainingData
from training.scenes.picture_scores import score_pictures
from training.studies.ablation import NothingToJudgeError


@dataclass(frozen=True)
class Study:
    """Settings of a seed study: trained and evaluated once per seed.

    Attributes:
        dataset: The whole dataset: what follows the training data is judged.
        material: The training data.
        config: Hyper-parameters.
        max_visits: At most so many visits are judged, the same ones for every seed.
        root: Directory of bundles.
        cache: Directory of picture scores.
    """

    dataset: Dataset
    material: TrainingData
    config: RunConfig
    max_visits: int
    root: Path
    cache: Path


@dataclass(frozen=True)
class Spread:
    """Mean and spread of a metric over seeds.

    Attributes:
        mean: Its mean.
        sd: Its standard deviation, of a sample; NaN for one seed.
        values: One a seed.
    """

    mean: float
    sd: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: tuple[float, ...]) -> Self:
        """Describe values; at least one."""
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        return cls(float(np.mean(values)), sd, values)


def spread(study: Study, n_seeds: int, *, progress: Progress) -> dict[str, dict[str, Spread]]:
    """Train and judge with the seeds 0, 1, and so on.

    Slates and resamples are those of seed 0 throughout: what moves is the training. The scene
    model is the same one, too.

    Args:
        study: What is trained and judged.
        n_seeds: How many seeds, at least 1.
        progress: Receives the stages.

    Returns:
        Figures of the meta-model by protocol and metric.

    Raises:
        NothingToJudgeError: If nothing was bought after the training data.
    """
    found = [_figures(study, seed, progress) for seed in range(n_seeds)]
    return {
        protocol: {
            metric: Spread.of(tuple(one[protocol][metric] for one in found)) for metric in metrics
        }
        for protocol, metrics in found[0].items()
    }


def _figures(study: Study, seed: int, progress: Progress) -> Mapping[str, Mapping[str, float]]:
    options = TrainingOptions(config=study.config, seed=seed)
    bundle = train(study.material, options, root=study.root, progress=progress)
    pictures: dict[str, PictureScores] = {}
    if study.material.scenes is not None:
        labeller = SceneLabeller.open(bundle)
        pictures = score_pictures(study.dataset.images, labeller, cache=study.cache)
    question = Question(
        dataset=study.dataset,
        pictures=pictures,
        from_us=study.material.until_us,
        learned_until_us=study.material.until_us,
        max_visits=study.max_visits,
        config=study.config,
        seed=0,  # not that of the training: the same visits and resamples for all
    )
    evaluation = evaluate(Scorer.load(read_bundle(bundle)), question, progress=progress)
    if not evaluation.protocols:
        msg = "no purchase follows what was shown after the training data: choose an earlier end"
        raise NothingToJudgeError(msg)
    return {
        protocol: {metric: interval.value for metric, interval in figures.scorers[META].items()}
        for protocol, figures in evaluation.protocols.items()
    }
