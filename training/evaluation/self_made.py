"""Answers of a log that the evaluated bundle made itself, on which its figures flatter it."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.domain.event import from_us
from models.experiments.exposure import FILE, read_exposures
from models.scoring.bundle import Manifest, same_ranker


@dataclass(frozen=True, slots=True)
class SelfMade:
    """Number of recorded answers, and of those that the bundle made."""

    n_answers: int
    n_own: int


def self_made(directory: Path, manifest: Manifest, *, bundles: Path, since_us: int) -> SelfMade:
    """Count the answers that a bundle, or its refitted or judged form, made.

    Args:
        directory: The dataset.
        manifest: The bundle's.
        bundles: Directory of bundles, which are searched for refitted forms of it.
        since_us: Answers from then on count, microseconds since the epoch.

    Raises:
        BundleError: If a manifest cannot be read.
        ExposureError: If the file of exposures cannot be read.
    """
    if not (directory / FILE).is_file():
        return SelfMade(0, 0)
    own = same_ranker(manifest, bundles)
    later = pl.col("now") >= from_us(since_us)
    answers = read_exposures(directory, ["bundle_id"], where=later)
    return SelfMade(answers.height, answers.filter(pl.col("bundle_id").is_in(list(own))).height)
