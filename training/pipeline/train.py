"""Training run: the steps from training data to a bundle, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.covers.cover_model import CoverModel
from models.domain.sale import Sale
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.ranker.objective import TrainingObjective
from models.ranker.position_effect import PositionEffect
from models.ranker.two_stage import ranker_files
from models.scoring.bundle import write_bundle
from models.scoring.model_card import MODEL_CARD_FILE
from models.scoring.scorer import (
    DRIFT_BASELINE_FILE,
    EXPLANATION_FILE,
    LOGISTIC_FILE,
    TOPICS_FILE,
    Scorer,
)
from training.configuration import ConfigurationError, RunConfig, TrainingOptions
from training.console import Progress
from training.covers.fit_covers import covers_of
from training.examples.assembly_by_parts import PartedLog, assemble_by_parts
from training.examples.closed_sales import if_mostly_closed
from training.examples.cold_start_mask import ColdStartMask
from training.examples.credit import if_few_credited
from training.examples.customer_sample import sampled
from training.examples.outcomes import if_no_outcome, objective_for
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.ranked_lists import ranked_lists
from training.examples.refit import (
    RefittedSchema,
    after_first_refit,
    fit_recommenders,
    refit_moments,
)
from training.examples.sampled_slates import training_slates
from training.examples.slates import Slates, settled
from training.pipeline.bundle_parts import counts_at_end, known_files, manifest_of, seed_snapshot
from training.pipeline.column_uses import COLUMNS_FILE, column_uses, uses_to_bytes
from training.pipeline.model_card import model_card
from training.pipeline.pilot_examination import pilot_examination
from training.pipeline.training_data import TrainingData
from training.ranker.early_stopping import RankerTraining
from training.ranker.fit_drift_baseline import fit_drift_baseline
from training.ranker.fit_order_sizes import fit_order_sizes
from training.ranker.fit_ranker import TooFewPurchasesError, fit_ranker, require_learnable
from training.ranker.usual_contributions import usual_contributions
from training.recommenders.attribute_columns import choose_attributes
from training.recommenders.interactions import Interactions
from training.recommenders.left_out import without_data
from training.scenes.topics import fit_topics

# Chosen: sales without a price stand below all others.
_MIN_PRICED_SHARE: Final = 0.5


def n_unpriced(sales: Iterable[Sale]) -> int:
    """Return how many sales have no price."""
    return sum(sale.price is None for sale in sales)


def train(
    data: TrainingData,
    options: TrainingOptions,
    *,
    root: Path,
    progress: Progress,
) -> Path:
    """Fit topics, recommenders and the ranker, and write the bundle below a directory of bundles.

    Args:
        data: The training data.
        options: Configuration, seed, and who computes.
        root: The directory of bundles.
        progress: Receives the stages.

    Returns:
        The bundle's directory.

    Raises:
        ConfigurationError: If the objective is `value`, and most sales have no price.
        NothingToRankError: If no list has two sales.
        TooFewPurchasesError: If there are too few outcomes to fit the ranker.
        ExposureError: If the dataset's file of exposures cannot be read.
    """
    options = _with_objective(data, options)
    examples = assemble(data, options, progress=progress)
    progress.stage("ranker")
    training = _ranker_training(examples, data, options)
    fitted = fit_ranker(training)
    progress.stage("model card")
    usual = usual_contributions(fitted.ranker, training.shown, schema=examples.schema)
    past = examples.past
    card = model_card(data, past, training=training, ranker=fitted.stopped)
    scorer = Scorer(
        bundle_id="",
        scene_model=data.scenes.scene_model if data.scenes else "",
        schema=examples.schema,
        ranker=fitted.ranker,
        topics=examples.topics,
        snapshot=seed_snapshot(data),
        counts=counts_at_end(past, data.until_us),
        logistic=fitted.logistic,
        objective=card.objective,
        order_sizes=fit_order_sizes(past.events, past.catalogue),
        covers=_covers(past, fitted.ranker.position_effect, options),
    )
    files = {
        COLUMNS_FILE: uses_to_bytes(
            column_uses(data.dataset, scorer, config=options.config, shown=examples.shown)
        ),
        **ranker_files(fitted.ranker),
        LOGISTIC_FILE: fitted.logistic.to_bytes(),
        TOPICS_FILE: examples.topics.to_bytes(),
        DRIFT_BASELINE_FILE: fit_drift_baseline(scorer, past, slates=examples.slates).to_bytes(),
        EXPLANATION_FILE: Arrays({"contributions": usual}).to_bytes(),
        MODEL_CARD_FILE: card.to_bytes(),
        **known_files(scorer, data.dataset.events, until_us=data.until_us, seed=options.seed),
        **(data.scenes.files if data.scenes else {}),
    }
    manifest = manifest_of(data, scorer, fitted=fitted, options=options, left_out=examples.left_out)
    return write_bundle(root, manifest, files=files)


@dataclass(frozen=True, eq=False)
class TrainingExamples:
    """Training examples of the ranker.

    Attributes:
        topics: Maps label probabilities to topic shares.
        past: The state at every moment.
        slates: Settled slates, ordered by time; some of them twice, see ``repeated``.
        repeated: Slates repeated with masked history, see `ColdStartMask`, shape ``(n,)``.
        matrix: Features of the slates' entries, by the recommenders of their time, shape
            ``(n_entries, n_features)``.
        schema: The features, with recommenders fitted on all events.
        left_out: Why recommenders are not among them, by name.
        shown: The sales with an exposure before the end of the data.
    """

    topics: Topics
    past: PointInTime
    slates: Slates
    repeated: NDArray[np.bool_]
    matrix: NDArray[np.float32]
    schema: FeatureSchema
    left_out: Mapping[str, str]
    shown: tuple[Sale, ...]


def assemble(
    data: TrainingData,
    options: TrainingOptions,
    *,
    progress: Progress,
) -> TrainingExamples:
    """Fit topics and recommenders, and compute the features of every slate.

    Raises:
        ConfigurationError: If lists are said to be ordered by a caller, and none has positions.
        NothingToRankError: If no list has two sales.
        TooFewPurchasesError: If there are too few outcomes to fit the ranker.
    """
    config, seed = options.config, options.seed
    progress.stage("topics")
    topics = _topics_of(data, max_topics=config.max_topics, seed=seed)
    hours = config.half_lives_hours
    past = PointInTime.from_dataset(data.dataset, data.pictures, topics=topics, half_lives=hours)
    slates = training_slates(past, config, seed=seed)
    _require_positions(slates, config)
    # Slates of the last hours may still be bought from: they would be learned as not bought.
    slates = settled(slates, data.until_us, outcome_us=config.outcome_us)
    progress.stage("positions")
    examined = pilot_examination(past, slates, config=config, seed=seed)
    interactions = Interactions.from_events(past.events, past.catalogue, examined)
    moments = refit_moments(slates)
    # Before the first refit no recommender exists that did not see the outcomes.
    slates = after_first_refit(slates, moments)
    slates = sampled(slates, past.events.customers.values, share=config.sample)
    mask = ColdStartMask.draw(slates, share=config.hidden_share, seed=seed)
    _require_learnable(mask, past, options)
    progress.stage("recommenders", len(moments))
    known = interactions.before(data.until_us)
    schema, left_out = _schema_of(known)
    refitted = RefittedSchema.fit(interactions, moments, like=schema, tick=progress.tick)
    shown = np.flatnonzero(known.looks_by_sale())
    matrix = _matrix(
        data, past, mask, topics=topics, schema=refitted, options=options, progress=progress
    )
    return TrainingExamples(
        topics=topics,
        past=past,
        slates=mask.slates,
        repeated=mask.new_sales,
        matrix=matrix,
        schema=schema,
        left_out=left_out,
        shown=tuple(known.catalogue.sales[row] for row in shown),
    )


def _matrix(
    data: TrainingData,
    past: PointInTime,
    mask: ColdStartMask,
    *,
    topics: Topics,
    schema: RefittedSchema,
    options: TrainingOptions,
    progress: Progress,
) -> NDArray[np.float32]:
    if options.on_workers:
        log = PartedLog(data.dataset, data.until_us, data.pictures, topics)
        return assemble_by_parts(
            log, past, mask=mask, schema=schema, options=options, progress=progress
        )
    progress.stage("features", len(mask.slates))
    return assemble_slates(
        past,
        mask.slates,
        schema=schema,
        caller_orders=options.config.caller_orders,
        masked=mask.apply,
        tick=progress.tick,
        folder=options.scratch,
    )


def _schema_of(known: Interactions) -> tuple[FeatureSchema, Mapping[str, str]]:
    """Return the features, and why recommenders are not among them, by name."""
    everything = fit_recommenders(known)
    left_out = without_data(everything, known)
    recommenders = tuple(one for one in everything if one.name not in left_out)
    return FeatureSchema(recommenders, choose_attributes(known)), left_out


def _ranker_training(
    examples: TrainingExamples, data: TrainingData, options: TrainingOptions
) -> RankerTraining:
    slates, exposures = examples.slates, examples.past.events.exposures
    return RankerTraining(
        slates,
        examples.matrix,
        examples.schema,
        config=options.config,
        seed=options.seed,
        repeated=examples.repeated,
        ranked=ranked_lists(data.dataset.directory, slates, exposures=exposures),
        n_threads=options.threads,
    )


def _require_learnable(mask: ColdStartMask, past: PointInTime, options: TrainingOptions) -> None:
    """Refuse slates that nothing can be learned from before recommenders are fitted."""
    training = RankerTraining(
        mask.slates,
        np.empty((len(mask.slates.bought), 0), dtype=np.float32),
        FeatureSchema(()),
        config=options.config,
        seed=options.seed,
        repeated=mask.new_sales,
    )
    try:
        require_learnable(training)
    except TooFewPurchasesError as exc:
        closed = if_mostly_closed(past.events, past.catalogue)
        few = closed or if_few_credited(past.events, outcome_us=options.config.outcome_us)
        if not few:
            raise
        msg = f"{few}; {exc}"
        raise TooFewPurchasesError(msg) from exc


def _covers(
    past: PointInTime, effect: PositionEffect, options: TrainingOptions
) -> CoverModel | None:
    outcome_us = options.config.outcome_us
    return covers_of(past.events, past.catalogue, effect=effect, outcome_us=outcome_us)


def _with_objective(data: TrainingData, options: TrainingOptions) -> TrainingOptions:
    """Record the objective as it is chosen: evaluations of the bundle count the same outcomes."""
    objective = objective_for(options.config, data.dataset.events)
    n_sales = len(data.dataset.sales)
    n_priced = n_sales - n_unpriced(data.dataset.sales)
    if objective is TrainingObjective.VALUE and n_priced < n_sales * _MIN_PRICED_SHARE:
        msg = (
            "objective value: sales are ordered by their price times the probability of a "
            f"purchase, and {n_priced:,} of {n_sales:,} sales have a price, fewer than half: send "
            "`price` of sales, or choose `purchase`"
        )
        raise ConfigurationError(msg)
    if reason := if_no_outcome(data.dataset.events, objective):
        raise TooFewPurchasesError(reason)
    config = options.config.model_copy(update={"objective": objective})
    return replace(options, config=config)


def _topics_of(data: TrainingData, *, max_topics: int, seed: int) -> Topics:
    if data.scenes is None or not data.pictures:
        return Topics.none()
    # In the order of ids, since topics are fitted on random halves.
    pictures = [data.pictures[sale_id] for sale_id in sorted(data.pictures)]
    probabilities = np.stack([picture.probabilities for picture in pictures])
    return fit_topics(probabilities, data.scenes.labels, max_topics=max_topics, seed=seed)


def _require_positions(slates: Slates, config: RunConfig) -> None:
    if config.caller_orders and not slates.positions.any():
        msg = (
            "caller_orders: the order of shown lists is a feature, and no impression has a "
            "position: send `position`, or set caller_orders = false"
        )
        raise ConfigurationError(msg)
