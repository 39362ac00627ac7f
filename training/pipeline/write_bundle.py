"""Puts what was fitted into a bundle."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np

from models.arrays.array_file import Arrays
from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.dataset.events import EventTable
from models.domain.customer import Window
from models.domain.event import from_us
from models.domain.profile import Profile
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.query import Context
from models.ranker.two_stage import ranker_files
from models.scoring.bundle import FORMAT_VERSION, Manifest, write_bundle
from models.scoring.golden_rows import GoldenRows, GoldenVisit
from models.scoring.scorer import (
    COUNTS_FILE,
    DRIFT_BASELINE_FILE,
    GOLDEN_FILE,
    LOGISTIC_FILE,
    SNAPSHOT_FILE,
    TOPICS_FILE,
    Scorer,
    recommender_file,
)
from training.configuration import RunConfig
from training.examples.point_in_time import PointInTime
from training.examples.replay import CountReplay, ProfileReplay, WindowReplay
from training.examples.slates import Slates, label_of
from training.pipeline.training_data import TrainingData
from training.ranker.fit_drift_baseline import fit_drift_baseline
from training.ranker.fit_ranker import FittedRanker

N_GOLDEN: Final = 8

_SCORING_LIBRARIES: Final = ("faiss-cpu", "faiss-gpu", "lightgbm", "numpy")


def bundle_run(
    material: TrainingData,
    *,
    fitted: FittedRanker,
    schema: FeatureSchema,
    topics: Topics,
    past: PointInTime,
    slates: Slates,
    config: RunConfig,
    seed: int,
    root: Path,
) -> Path:
    """Write the bundle of a run.

    Args:
        material: What it learned from; its sales and pictures become the seed catalogue.
        fitted: The meta-model and its figures.
        schema: The features.
        topics: The topics.
        past: What was known when; its counts at the end go with the seed catalogue.
        slates: What it was fitted on, ordered by time.
        config: The run's configuration.
        seed: The run's seed; also draws the golden rows.
        root: Directory of bundles.

    Returns:
        The bundle's directory.
    """
    scorer = Scorer(
        bundle_id="",
        scene_model=_scene_model(material),
        schema=schema,
        ranker=fitted.ranker,
        topics=topics,
        snapshot=seed_snapshot(material),
        counts=counts_at_end(past, material.until_us),
        logistic=fitted.logistic,
    )
    files = {
        **ranker_files(fitted.ranker),
        LOGISTIC_FILE: fitted.logistic.to_bytes(),
        TOPICS_FILE: topics.to_bytes(),
        DRIFT_BASELINE_FILE: fit_drift_baseline(scorer, past, slates=slates).to_bytes(),
        **known_files(scorer, past.events, until_us=material.until_us, seed=seed),
        **(material.scenes.files if material.scenes else {}),
    }
    manifest = _manifest(material, fitted, schema, config=config, seed=seed)
    return write_bundle(root, manifest, files=files)


def known_files(
    scorer: Scorer, events: EventTable, *, until_us: int, seed: int
) -> dict[str, bytes]:
    """Return what a bundle knows up to a moment: recommenders, sales, counts, golden rows.

    Args:
        scorer: All of the bundle.
        events: What was received before the moment.
        until_us: The moment, microseconds since the epoch.
        seed: Draws the golden rows.
    """
    visits = [_unknown_visitor(until_us), *_visits(events, until_us, seed)]
    golden = GoldenRows.record(visits, scorer.seed_catalogue(), orders=scorer.orders)
    return {
        SNAPSHOT_FILE: scorer.snapshot.to_bytes(),
        COUNTS_FILE: scorer.counts.to_bytes(),
        GOLDEN_FILE: golden.to_bytes(),
        **{
            recommender_file(recommender.name): Arrays(recommender.to_arrays()).to_bytes()
            for recommender in scorer.schema.recommenders
        },
    }


def counts_at_end(past: PointInTime, until_us: int) -> SaleCounts:
    """Return the counts of a catalogue's sales at a moment, microseconds since the epoch."""
    return CountReplay(past.events, past.catalogue).at(until_us)


def seed_snapshot(material: TrainingData) -> Snapshot:
    """Return the sales and pictures that a bundle carries."""
    sales = {sale.sale_id: sale for sale in material.dataset.sales}
    return Snapshot.of(sales, material.pictures)


def _manifest(
    material: TrainingData,
    fitted: FittedRanker,
    schema: FeatureSchema,
    *,
    config: RunConfig,
    seed: int,
) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        until=from_us(material.until_us).isoformat(timespec="seconds"),
        judged_as="",
        files={},
        schema_hash=schema.hash,
        recommenders=[recommender.name for recommender in schema.recommenders],
        scene_model=_scene_model(material),
        config=config.model_dump(mode="json"),
        seed=seed,
        data_fingerprint=material.dataset.fingerprint,
        metrics=dict(fitted.metrics),
        versions=dict(_installed(_SCORING_LIBRARIES)),
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )


def _scene_model(material: TrainingData) -> str:
    return material.scenes.scene_model if material.scenes else ""


def _installed(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:  # one of the two faiss packages is absent
            continue


def _unknown_visitor(until_us: int) -> GoldenVisit:
    return GoldenVisit(Window.empty(), Profile.empty(), Context(until_us))


def _visits(events: EventTable, until_us: int, seed: int) -> Iterator[GoldenVisit]:
    windows, profiles = WindowReplay(events), ProfileReplay(events)
    rng = np.random.default_rng(seed)
    for event in rng.choice(len(events), size=min(N_GOLDEN, len(events)), replace=False):
        customer = int(events.customers.codes[event])
        yield GoldenVisit(
            windows.window(customer, until_us),
            profiles.profile(customer, until_us),
            Context(until_us, label_of(events.markets, int(events.markets.codes[event]))),
        )
