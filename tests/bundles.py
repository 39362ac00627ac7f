"""Bundles made from others: with other scores that they reproduce, or that they do not."""

from dataclasses import replace
from pathlib import Path

from models.bundle import Bundle, read_bundle, write_bundle
from models.golden import GoldenRows
from models.ranker import Calibration, LightGbmRanker
from models.scoring import GOLDEN_FILE, Scorer
from models.staged import StagedRanker, ranker_files


def recalibrated(bundle: Path, root: Path, *, shift: float) -> Path:
    """Write a bundle whose log-odds lie higher by ``shift``, with golden rows of its own."""
    original, ranker = _shifted(bundle, shift)
    scorer = replace(Scorer.load(original), ranker=ranker)
    visits = GoldenRows.from_bytes(original.content(GOLDEN_FILE)).visits
    rows = GoldenRows.record(visits, scorer.seed_catalogue(), orders=scorer.orders)
    files = {**original.files, **ranker_files(ranker), GOLDEN_FILE: rows.to_bytes()}
    return write_bundle(root, original.manifest, files=files)


def dishonest(bundle: Path, root: Path) -> Path:
    """Write a bundle that is whole, and does not score what its golden rows say."""
    original, ranker = _shifted(bundle, 1.0)
    return write_bundle(root, original.manifest, files={**original.files, **ranker_files(ranker)})


def relabelled(bundle: Path, root: Path, *, scene_model: str) -> Path:
    """Write a bundle that reads the pictures of another scene model."""
    original = read_bundle(bundle)
    manifest = original.manifest.model_copy(update={"scene_model": scene_model})
    return write_bundle(root, manifest, files=original.files)


def _shifted(bundle: Path, shift: float) -> tuple[Bundle, LightGbmRanker | StagedRanker]:
    original = read_bundle(bundle)
    ranker = Scorer.load(original).ranker
    assert isinstance(ranker, LightGbmRanker | StagedRanker)
    line = ranker.calibration
    moved = Calibration(slope=line.slope, intercept=line.intercept + shift)
    return original, replace(ranker, calibration=moved)
