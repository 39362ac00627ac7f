"""Champion: the published bundle that a candidate is compared with."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import polars as pl

from models.experiments.exposure import FILE, read_exposures
from models.promotion.canary_plan import PREFIX
from models.promotion.count import CANDIDATE
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

# Chosen: what was rolled back or promoted earlier in the day answers no more. An experiment on two
# bundles has the one of the larger share among the most of so many answers.
_ANSWERED_WITHIN: Final = timedelta(hours=1)
_N_ANSWERS: Final = 1_000


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

        A bundle that a promotion brought to all customers, or to which an operator rolled back, is
        older than the refitted champion of the same night, and answers.

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
    """Return the newest form of the bundle that made most of the last full answers."""
    if not (data / FILE).is_file():
        return None
    assigned = pl.element().struct
    on_trial = assigned.field("experiment").str.starts_with(PREFIX) & (
        assigned.field("variant") == CANDIDATE
    )
    is_full = (pl.col("bundle_id") != "") & pl.col("degraded").is_null()
    serving = is_full & ~pl.col("assignments").list.eval(on_trial).list.any()
    answers = read_exposures(data, ["bundle_id", "now"], where=serving).sort("now")
    last = answers.filter(pl.col("now") > pl.col("now").max() - _ANSWERED_WITHIN).tail(_N_ANSWERS)
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
