"""Refits the recommenders of an evaluated candidate on all data, under the same meta-model."""

from dataclasses import replace
from pathlib import Path

from models.catalogue.snapshot import Snapshot
from models.domain.event import from_us
from models.features.schema import FeatureSchema
from models.scoring.bundle import Bundle, read_bundle
from models.scoring.scorer import Scorer
from training.examples.point_in_time import PointInTime
from training.examples.refit import fit_recommenders
from training.nightly.comparison import BundleComparison, pictures_of
from training.pipeline.bundle_parts import counts_at_end, known_files
from training.pipeline.training_data import cut
from training.ranker.fit_order_sizes import fit_order_sizes
from training.recommenders.interactions import Interactions


def refitted(judged: Path, comparison: BundleComparison) -> Bundle:
    """Fit the recommenders of a judged bundle again, with the days on which it was judged.

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
    sales = {sale.sale_id: sale for sale in dataset.sales}
    snapshot = Snapshot.from_sales(
        sales, pictures_of(before, judged, dataset=dataset, cache=comparison.cache)
    )
    catalogue = snapshot.catalogue(before.topics)
    past = PointInTime(dataset.events, catalogue, before.counts.half_lives)
    interactions = Interactions.from_events(
        past.events, past.catalogue, before.ranker.position_effect
    )
    recommenders = fit_recommenders(
        interactions.before(comparison.until_us), bundle.manifest.recommenders
    )
    scorer = replace(
        before,
        schema=FeatureSchema(recommenders, before.schema.attributes),
        snapshot=snapshot,
        counts=counts_at_end(past, comparison.until_us),
        order_sizes=fit_order_sizes(past.events, past.catalogue),
    )
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
