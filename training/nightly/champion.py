"""Champion: the published bundle that a candidate is compared with."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import polars as pl

from models.experiments.exposure import FILE, read_exposures
from models.scoring.bundle import (
    MANIFEST,
    BundleError,
    bundle_paths,
    newest_bundle,
    read_bundle,
    read_manifest,
    same_ranker,
)

CANDIDATES: Final = "candidates"

# Chosen: a night's interval. Whole days hold all hours alike.
_ANSWERED_WITHIN: Final = timedelta(days=1)


@dataclass(frozen=True)
class Champion:
    """Champion: the published bundle that a candidate is compared with.

    Attributes:
        name: Id of the published bundle.
        judged: Bundle that is evaluated for it. If it still exists, the candidate or bundle that
            the champion was refitted from, which was not trained on the days since; else itself.
        published: The published bundle, which served.
        forms: Published forms of its ranker by id: itself, and with recommenders of other nights.
    """

    name: str
    judged: Path
    published: Path
    forms: Mapping[str, Path]

    @classmethod
    def find(cls, bundles: Path, *, state: Path, data: Path, named: Path | None) -> Self | None:
        """Return the named bundle, or that which answers, or the newest; None before the first.

        A bundle that a promotion brought to all customers is older than the refitted champion of
        the same night, and answers.

        Args:
            bundles: Directory of published bundles.
            state: Has the candidates of earlier nights.
            data: The dataset, whose recorded answers say which bundle answers.
            named: Bundle that was asked for.

        Raises:
            BundleError: If the manifest of the bundle that was named cannot be read.
            ExposureError: If the file of exposures cannot be read.
        """
        published = named or _answering(data, bundles) or newest_bundle(bundles)
        if published is None:
            return None
        manifest = read_manifest(published)
        forms = {**_forms(published, bundles), manifest.bundle_id: published}
        name = manifest.judged_as or manifest.bundle_id
        # The first bundle of a shop was no candidate, and has its refits beside it.
        candidate = state / CANDIDATES / name
        judged = candidate if (candidate / MANIFEST).is_file() else forms.get(name, published)
        return cls(manifest.bundle_id, judged, published, forms)


def _answering(data: Path, bundles: Path) -> Path | None:
    """Return the newest form of the bundle that made most answers of the last recorded day."""
    if not (data / FILE).is_file():
        return None
    answers = read_exposures(data, ["bundle_id", "now"]).filter(pl.col("bundle_id") != "")
    last = answers.filter(pl.col("now") > pl.col("now").max() - _ANSWERED_WITHIN)
    published = bundle_paths(bundles)
    counts = last["bundle_id"].value_counts().sort("count", "bundle_id", descending=True)
    for name in counts["bundle_id"].to_list():
        if name in published:
            return _newest_whole([*_forms(published[name], bundles).values()])
    return None


def _forms(bundle: Path, bundles: Path) -> dict[str, Path]:
    ids = same_ranker(read_manifest(bundle), bundles)
    return {name: path for name, path in bundle_paths(bundles).items() if name in ids}


def _newest_whole(paths: list[Path]) -> Path | None:
    for path in reversed(paths):
        with suppress(BundleError):
            read_bundle(path)
            return path
    return None
