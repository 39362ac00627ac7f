"""Bundles made from others: with other scores that they reproduce, or that they do not."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import lightgbm
import numpy as np

from models.arrays.array_file import Arrays
from models.covers.cover_model import COVERS_FILE, CoverModel
from models.features.schema import FeatureSchema
from models.ranker.logistic import LogisticRanker
from models.ranker.ranker import Calibration, LightGbmRanker
from models.ranker.two_stage import BUYING_FILE, BUYING_OFFSET_FILE, TwoStageRanker, ranker_files
from models.scoring.bundle import FORMAT_VERSION, Bundle, Manifest, read_bundle, write_bundle
from models.scoring.golden_rows import GoldenRows
from models.scoring.scorer import (
    DRIFT_BASELINE_FILE,
    EXPLANATION_FILE,
    GOLDEN_FILE,
    LOGISTIC_FILE,
    Scorer,
    recommender_file,
)
from training.ranker.fit_offset import position_columns

DRAFT: Final = Manifest(
    format_version=FORMAT_VERSION,
    until="2025-03-10T12:00:00+00:00",
    judged_as="",
    awaits_traffic=False,
    files={},
    schema_hash="ab" * 32,
    recommenders=["popularity"],
    scene_model="",
    config={},
    seed=7,
    data_fingerprint="cd" * 16,
    metrics={},
    versions={},
)
"""A manifest of no files, for bundles that nothing loads."""


def recalibrated(bundle: Path, root: Path, *, shift: float) -> Path:
    """Write a bundle whose log-odds lie higher by ``shift``, with golden rows of its own."""
    return _rewritten(*_shifted(bundle, shift), root)


def reversed_order(bundle: Path, root: Path, *, centre: float) -> Path:
    """Write a bundle that likes best what the other one likes least.

    Its log-odds are the other one's mirrored at ``centre``: about as high, to be found by
    nothing but the order.
    """
    original, ranker = _shifted(bundle, 0.0)
    line = ranker.calibration
    mirrored = Calibration(slope=-line.slope, intercept=2 * centre - line.intercept)
    return _rewritten(original, replace(ranker, calibration=mirrored), root)


def lacking(bundle: Path, root: Path, *, recommender: str) -> Path:
    """Write a bundle without one of the recommenders, whose trees know only noise.

    It is whole and reproduces its scores; an order by that recommender is beyond it.
    """
    original, ranker = _shifted(bundle, 0.0)
    scorer = Scorer.load(original)
    assert scorer.logistic is not None
    kept = tuple(one for one in scorer.schema.recommenders if one.name != recommender)
    schema = FeatureSchema(kept, scorer.schema.attributes)
    columns = [scorer.schema.names.index(name) for name in schema.names]
    line = {
        name: values if name == "intercept" else values[columns]
        for name, values in scorer.logistic.to_arrays().items()
    }
    logistic = LogisticRanker.from_arrays(Arrays(line), n_features=len(columns))
    step = ranker.opening if isinstance(ranker, TwoStageRanker) else ranker
    offset = replace(step.offset, regression=logistic, columns=position_columns(schema))
    trees = LightGbmRanker(_noise(schema.names), ranker.calibration, offset)
    manifest = original.manifest.model_copy(
        update={"recommenders": [one.name for one in kept], "schema_hash": schema.hash}
    )
    other = replace(scorer, schema=schema, ranker=trees, logistic=logistic)
    gone = {BUYING_FILE, BUYING_OFFSET_FILE, DRIFT_BASELINE_FILE, EXPLANATION_FILE}
    gone.add(recommender_file(recommender))
    files = {name: content for name, content in original.files.items() if name not in gone}
    return _written(root, manifest, scorer=other, files=files)


def _noise(names: tuple[str, ...]) -> lightgbm.Booster:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=200)
    rows = lightgbm.Dataset(rng.normal(size=(200, len(names))), labels, feature_name=list(names))
    told = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbose": -1}
    return lightgbm.train(told, rows, num_boost_round=3)  # pyright: ignore[reportUnknownMemberType] - its types are partial


def dishonest(bundle: Path, root: Path) -> Path:
    """Write a bundle that is whole, and does not score what its golden rows say."""
    original, ranker = _shifted(bundle, 1.0)
    return write_bundle(root, original.manifest, files={**original.files, **ranker_files(ranker)})


def relabelled(bundle: Path, root: Path, *, scene_model: str) -> Path:
    """Write a bundle that reads the pictures of another scene model, and awaits traffic."""
    original = read_bundle(bundle)
    changes = {"scene_model": scene_model, "awaits_traffic": True}
    manifest = original.manifest.model_copy(update=changes)
    return write_bundle(root, manifest, files=original.files)


def choosing(bundle: Path, root: Path, *, covers: CoverModel) -> Path:
    """Write a bundle that chooses covers by a model."""
    original = read_bundle(bundle)
    files = {**original.files, COVERS_FILE: covers.to_bytes()}
    return write_bundle(root, original.manifest, files=files)


def _rewritten(original: Bundle, ranker: LightGbmRanker | TwoStageRanker, root: Path) -> Path:
    scorer = replace(Scorer.load(original), ranker=ranker)
    return _written(root, original.manifest, scorer=scorer, files=original.files)


def _written(root: Path, manifest: Manifest, *, scorer: Scorer, files: Mapping[str, bytes]) -> Path:
    """Write a bundle that reproduces what its scorer says of the visits of another one."""
    assert scorer.logistic is not None
    assert isinstance(scorer.ranker, LightGbmRanker | TwoStageRanker)
    visits = GoldenRows.from_bytes(files[GOLDEN_FILE]).visits
    rows = GoldenRows.record(visits, scorer.seed_catalogue(), orders=scorer.orders)
    made = {
        **ranker_files(scorer.ranker),
        LOGISTIC_FILE: scorer.logistic.to_bytes(),
        GOLDEN_FILE: rows.to_bytes(),
    }
    return write_bundle(root, manifest, files={**files, **made})


def _shifted(bundle: Path, shift: float) -> tuple[Bundle, LightGbmRanker | TwoStageRanker]:
    original = read_bundle(bundle)
    ranker = Scorer.load(original).ranker
    assert isinstance(ranker, LightGbmRanker | TwoStageRanker)
    line = ranker.calibration
    moved = Calibration(slope=line.slope, intercept=line.intercept + shift)
    return original, replace(ranker, calibration=moved)
