"""Refits the recommenders of an evaluated candidate on all data, under the same meta-model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from models.catalogue.snapshot import Snapshot
from models.dataset.reading import Dataset
from models.domain.event import from_us
from models.domain.sale import PictureScores
from models.features.schema import FeatureSchema
from models.scoring.bundle import Bundle, read_bundle
from models.scoring.scorer import Scorer
from training.covers.fit_covers import covers_of
from training.examples.point_in_time import PointInTime
from training.examples.refit import fit_recommenders
from training.nightly.comparison import BundleComparison, JudgedBundle
from training.pipeline.bundle_parts import counts_at_end, known_files
from training.pipeline.training_data import cut
from training.ranker.fit_order_sizes import fit_order_sizes
from training.recommenders.interactions import Interactions
from training.scenes.picture_scores import pictures_of


def refitted(judged: Path, comparison: BundleComparison) -> Bundle:
    """Fit the recommenders and covers of a judged bundle again, with the days that judged it.

    The meta-model and its calibration, the labeller, the topics and the drift baseline stay as
    they were judged. The meta-model was fitted on scores of recommenders that were refitted along
    the log, and so it can use scores of recommenders that know a few days more.

    Args:
        judged: Directory of the bundle.
        comparison: Slates and settings that it was judged with.

    Returns:
        A bundle that is not written yet, but reproduces its golden rows.

    Raises:
        BundleError: If either bundle must not be served.
    """
    bundle = read_bundle(judged)
    before = Scorer.load(bundle)
    dataset = cut(comparison.dataset, comparison.until_us)
    pictures = pictures_of(before, judged, images=dataset.images, cache=comparison.cache)
    scorer, past = _fitted_on(dataset, before, pictures=pictures, until_us=comparison.until_us)
    covers = covers_of(
        past.events,
        past.catalogue,
        effect=scorer.ranker.position_effect,
        outcome_us=comparison.config.outcome_us,
    )
    scorer = replace(scorer, counts=counts_at_end(past, comparison.until_us), covers=covers)
    known = known_files(
        scorer, past.events, until_us=comparison.until_us, seed=bundle.manifest.seed
    )
    changed = {
        "until": from_us(comparison.until_us).isoformat(timespec="seconds"),
        "judged_as": bundle.id,
        "data_fingerprint": dataset.fingerprint,
    }
    # `judged_as` leads the next night back to the candidate, which was not trained on these days.
    found = Bundle(bundle.manifest.model_copy(update=changed), {**bundle.files, **known})
    # Reproduces its golden rows here, or no service would take it.
    Scorer.load(found)
    return found


def as_of(judged: JudgedBundle, comparison: BundleComparison, *, moment_us: int) -> JudgedBundle:
    """Return a bundle as it ranks if its recommenders were refitted at another moment.

    Bundles that are compared must know equally much: what a day more tells recommenders is no
    merit of a ranker.

    Args:
        judged: The bundle.
        comparison: Slates and settings.
        moment_us: The recommenders know what was received before it, microseconds since the epoch.
    """
    dataset, before = cut(comparison.dataset, moment_us), judged.evaluator.scorer
    scorer, _ = _fitted_on(dataset, before, pictures=judged.pictures, until_us=moment_us)
    return judged.with_scorer(scorer)


def _fitted_on(
    dataset: Dataset, scorer: Scorer, *, pictures: Mapping[str, PictureScores], until_us: int
) -> tuple[Scorer, PointInTime]:
    """Fit recommenders and order sizes on a dataset that ends at a moment; all else stays."""
    snapshot = Snapshot.from_sales({sale.sale_id: sale for sale in dataset.sales}, pictures)
    catalogue = snapshot.catalogue(scorer.topics)
    past = PointInTime(dataset.events, catalogue, scorer.counts.half_lives)
    interactions = Interactions.from_events(past.events, catalogue, scorer.ranker.position_effect)
    names = [one.name for one in scorer.schema.recommenders]
    recommenders = fit_recommenders(interactions.before(until_us), names)
    fitted = replace(
        scorer,
        schema=FeatureSchema(recommenders, scorer.schema.attributes),
        snapshot=snapshot,
        order_sizes=fit_order_sizes(past.events, catalogue),
    )
    return fitted, past
