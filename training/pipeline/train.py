"""One training run: from material to a bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from training.configuration import RunConfig
from training.examples.cold_start_mask import Hiding
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.refit import (
    RefittedSchema,
    after_first_refit,
    fit_recommenders,
    refit_moments,
)
from training.examples.sampled_slates import visit_slates
from training.examples.slates import Slates, has_impressions, shown_slates
from training.pipeline.training_data import TrainingData
from training.pipeline.write_bundle import bundle_run
from training.ranker.early_stopping import Learning
from training.ranker.fit_ranker import fit_ranker, settled
from training.recommenders.interactions import Interactions
from training.scenes.topics import fit_topics


class Progress(Protocol):
    """Is told what a run does."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Take note that a stage begins, of ``total`` ticks if that is known."""
        ...

    def tick(self) -> None:
        """Take note that one more piece of the stage is done."""
        ...


def train(
    material: TrainingData,
    *,
    config: RunConfig,
    seed: int,
    root: Path,
    progress: Progress,
    threads: int = 1,
) -> Path:
    """Fit topics, recommenders and the meta-model, and write the bundle.

    Args:
        material: What to learn from.
        config: Hyper-parameters.
        seed: Seed of every random choice.
        root: Directory of bundles.
        progress: Is told what is being done.
        threads: Threads of the trees; the bundle is the same for any number.

    Returns:
        The bundle's directory.

    Raises:
        TooFewPurchasesError: If there is too little to learn from.
    """
    learned = assemble(material, config=config, seed=seed, progress=progress)
    progress.stage("ranker")
    return bundle_run(
        material,
        fitted=fit_ranker(
            Learning(
                learned.slates,
                learned.matrix,
                learned.schema,
                config=config,
                seed=seed,
                n_threads=threads,
            )
        ),
        schema=learned.schema,
        topics=learned.topics,
        past=learned.past,
        slates=learned.slates,
        config=config,
        seed=seed,
        root=root,
    )


@dataclass(frozen=True, eq=False)
class Assembly:
    """All that a meta-model is fitted on.

    Attributes:
        topics: Label probabilities to topic shares.
        past: What was known when.
        slates: Settled slates, ordered by time; some of them twice, see ``repeated``.
        repeated: Slates that are learned from once more with history hidden, shape ``(n,)``.
        matrix: Features of their entries, by the recommenders of their time, shape
            ``(n_entries, n_features)``.
        schema: The features by the recommenders fitted on everything.
    """

    topics: Topics
    past: PointInTime
    slates: Slates
    repeated: NDArray[np.bool_]
    matrix: NDArray[np.float32]
    schema: FeatureSchema


def assemble(
    material: TrainingData, *, config: RunConfig, seed: int, progress: Progress
) -> Assembly:
    """Fit topics and recommenders, and assemble the features of every slate.

    Args:
        material: What to learn from.
        config: Hyper-parameters.
        seed: Seed of every random choice.
        progress: Is told what is being done.
    """
    progress.stage("topics")
    topics = _topics(material, config, seed)
    past = PointInTime.of(material.dataset, material.pictures, topics=topics)
    interactions = Interactions.of(past.events, past.catalogue)
    slates = settled(
        training_slates(past, config, seed=seed), material.until_us, outcome_us=config.outcome_us
    )
    moments = refit_moments(slates)
    progress.stage("recommenders", len(moments))
    refitted = RefittedSchema.fit(interactions, moments, tick=progress.tick)
    hiding = Hiding.of(after_first_refit(slates, moments), share=config.hidden_share, seed=seed)
    progress.stage("features", len(hiding.slates))
    matrix = assemble_slates(
        past,
        hiding.slates,
        schema=refitted,
        caller_orders=config.caller_orders,
        seen=hiding.seen,
        tick=progress.tick,
    )
    return Assembly(
        topics=topics,
        past=past,
        slates=hiding.slates,
        repeated=hiding.new_sales,
        matrix=matrix,
        schema=FeatureSchema(fit_recommenders(interactions)),
    )


def training_slates(past: PointInTime, config: RunConfig, *, seed: int) -> Slates:
    """Return what was shown; where no impressions are on record, sampled visits."""
    if has_impressions(past.events):
        return shown_slates(past.events, past.catalogue, outcome_us=config.outcome_us)
    return visit_slates(
        past.events,
        past.catalogue,
        n_negatives=config.negatives_per_visit,
        outcome_us=config.outcome_us,
        rng=np.random.default_rng(seed),
    )


def _topics(material: TrainingData, config: RunConfig, seed: int) -> Topics:
    if material.scenes is None or not material.pictures:
        return Topics.none()
    seen = [material.pictures[sale_id] for sale_id in sorted(material.pictures)]
    return fit_topics(
        np.stack([scores.probabilities for scores in seen]),
        material.scenes.labels,
        max_topics=config.max_topics,
        seed=seed,
    )
