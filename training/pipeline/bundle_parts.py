"""The parts of a bundle: manifest, catalogue snapshot, counts, recommenders and golden rows.

Makes them from a model and its training data; `models.scoring.bundle` writes them to disk.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import numpy as np

from models.arrays.array_file import Arrays
from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.covers.cover_model import COVERS_FILE
from models.dataset.events import EventTable
from models.domain.customer import Window
from models.domain.event import from_us
from models.domain.profile import Profile
from models.query.query import Context
from models.scoring.bundle import FORMAT_VERSION, Manifest
from models.scoring.golden_rows import GoldenRows, GoldenVisit
from models.scoring.scorer import (
    ATTRIBUTES_FILE,
    COUNTS_FILE,
    GOLDEN_FILE,
    ORDER_SIZES_FILE,
    SNAPSHOT_FILE,
    Scorer,
    recommender_file,
)
from training.configuration import TrainingOptions
from training.examples.point_in_time import PointInTime
from training.examples.replay import ProfileReplay, WindowReplay
from training.examples.slates import label_of
from training.pipeline.training_data import TrainingData
from training.ranker.fit_ranker import FittedRanker

N_GOLDEN: Final = 8  # visits of customers, beside that of a new one; chosen, not measured

# Those whose versions may change a score in its last bit; faiss is one of the two.
_SCORING_LIBRARIES: Final = ("faiss-cpu", "faiss-gpu", "lightgbm", "numpy")


def known_files(
    scorer: Scorer, events: EventTable, *, until_us: int, seed: int
) -> dict[str, bytes]:
    """Serialise the parts of a bundle that a nightly refit replaces, by file name.

    These are the recommenders and columns of attributes, the catalogue snapshot with its counts,
    order sizes, covers, and golden rows.

    Args:
        scorer: The model.
        events: The events received before the moment.
        until_us: The moment, microseconds since the epoch.
        seed: Draws the golden rows.
    """
    visits = [GoldenVisit(Window.empty(), Profile.empty(), Context(until_us))]
    windows, profiles = WindowReplay(events), ProfileReplay(events)
    rng = np.random.default_rng(seed)
    for event in rng.choice(len(events), size=min(N_GOLDEN, len(events)), replace=False):
        customer = int(events.customers.codes[event])
        visits.append(
            GoldenVisit(
                windows.window(customer, until_us),
                profiles.profile(customer, until_us),
                Context(until_us, label_of(events.markets, int(events.markets.codes[event]))),
            )
        )
    golden = GoldenRows.record(visits, scorer.seed_catalogue(), orders=scorer.orders)
    return {
        SNAPSHOT_FILE: scorer.snapshot.to_bytes(),
        COUNTS_FILE: scorer.counts.to_bytes(),
        ORDER_SIZES_FILE: scorer.order_sizes.to_bytes(),
        GOLDEN_FILE: golden.to_bytes(),
        ATTRIBUTES_FILE: scorer.schema.attributes.to_bytes(),
        **({COVERS_FILE: scorer.covers.to_bytes()} if scorer.covers else {}),
        **{
            recommender_file(recommender.name): Arrays(recommender.to_arrays()).to_bytes()
            for recommender in scorer.schema.recommenders
        },
    }


def counts_at_end(past: PointInTime, until_us: int) -> SaleCounts:
    """Return the counts of a catalogue's sales at a moment, microseconds since the epoch."""
    return past.counts().at(until_us)


def seed_snapshot(data: TrainingData) -> Snapshot:
    """Return the sales and picture scores that a bundle carries."""
    return Snapshot.from_sales({sale.sale_id: sale for sale in data.dataset.sales}, data.pictures)


def manifest_of(
    data: TrainingData,
    scorer: Scorer,
    *,
    fitted: FittedRanker,
    options: TrainingOptions,
    left_out: Mapping[str, str],
) -> Manifest:
    """Describe a bundle: everything but its files, which `write_bundle` fills in."""
    versions: dict[str, str] = {}
    for name in _SCORING_LIBRARIES:
        with suppress(PackageNotFoundError):  # faiss is installed for the CPU or for the GPU
            versions[name] = version(name)
    return Manifest(
        format_version=FORMAT_VERSION,
        until=from_us(data.until_us).isoformat(timespec="seconds"),
        judged_as="",
        awaits_traffic=False,
        files={},
        schema_hash=scorer.schema.hash,
        recommenders=[recommender.name for recommender in scorer.schema.recommenders],
        left_out=dict(left_out),
        part=fitted.part or "",
        scene_model=scorer.scene_model,
        config=options.config.model_dump(mode="json"),
        seed=options.seed,
        data_fingerprint=data.dataset.fingerprint,
        metrics=dict(fitted.metrics),
        versions=versions,
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
