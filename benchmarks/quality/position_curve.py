"""Position curve: learned on sorted pages, beside the one that random pages show.

Question: where the shop orders its pages by what it knows, does a training find how the position
alone changes clicks?

Method: ``python -m benchmarks.quality.position_curve``. Of the Expedia searches of ICDM 2013 a
bundle learns clicks from the sorted pages alone. On pages in random order positions are fair, so
that their click rates are the truth, with intervals over pages. Positions are compared in bands,
relative to the first, as a page has one click in most cases.

Last numbers: see docs/evaluation.md.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from benchmarks.quality.real_sets import MAPPINGS, SHARED, run
from benchmarks.results import write_result
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer

# Those of the click rates in the description of the set.
BANDS: Final = {"1-5": (1, 5), "6-10": (6, 10), "11-20": (11, 20), "21-": (21, 99)}
N_RESAMPLES: Final = 2_000

Curve = dict[str, float]
"""By band, relative to the first."""


def rates(pages: pl.DataFrame) -> Curve:
    """Return click rates by band, relative to the first."""
    found = {
        band: pages.filter(pl.col("position").is_between(first, last))["click_bool"].mean()
        for band, (first, last) in BANDS.items()
    }
    return _relative(found)


def intervals(pages: pl.DataFrame, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Return 95% bootstrap intervals of `rates` over pages, by band."""
    by_page = pages.partition_by("srch_id")
    counts = np.array([_counts(page) for page in by_page])
    drawn = counts[rng.integers(len(counts), size=(N_RESAMPLES, len(counts)))].sum(axis=1)
    found = drawn[:, 0] / drawn[:, 1]
    low, high = np.percentile(found / found[:, :1], [2.5, 97.5], axis=0)
    return {band: (float(low[n]), float(high[n])) for n, band in enumerate(BANDS)}


def _counts(page: pl.DataFrame) -> NDArray[np.float64]:
    positions, clicks = page["position"].to_numpy(), page["click_bool"].to_numpy()
    within = [(positions >= first) & (positions <= last) for first, last in BANDS.values()]
    return np.array([[clicks[one].sum() for one in within], [one.sum() for one in within]], float)


def learned(pages: pl.DataFrame, work: Path) -> Curve:
    """Train on pages and return the mean of P(examined) where they showed hotels, by band."""
    pages.write_parquet(work / "pages.parquet")
    mapping = ("--map", MAPPINGS / "expedia.yaml", "--out", work / "data")
    run("import", "table", "--events", work / "pages.parquet", *mapping)
    options = ("--objective", "click", "--out", work / "bundles")
    run("train", "--data", work / "data", *options)
    [bundle] = [path for path in (work / "bundles").iterdir() if path.is_dir()]
    effect = Scorer.load(read_bundle(bundle)).ranker.position_effect
    examined = effect.p_examined(pages["position"].to_numpy(), np.full(len(pages), np.nan))
    return rates(pages.with_columns(click_bool=pl.Series(examined)))


def _relative(found: Mapping[str, object]) -> Curve:
    means = {band: value for band, value in found.items() if isinstance(value, float)}
    first = means[next(iter(BANDS))]
    return {band: value / first for band, value in means.items()}


def compare(
    source: Annotated[Path, typer.Option(help="Pages.")] = SHARED / "expedia" / "slates.parquet",
) -> None:
    """Print the curves and write results/benchmarks/position-curve.json."""
    if not source.exists():
        typer.echo(f"absent: {source}", err=True)
        sys.exit(1)
    pages = pl.read_parquet(source)
    ordered, drawn = (pages.filter(pl.col("random_bool") == one) for one in (0, 1))
    with TemporaryDirectory() as work:
        found = {
            "random pages": rates(drawn),
            "learned on sorted pages": learned(ordered, Path(work)),
            "sorted pages, as clicked": rates(ordered),
        }
    around = intervals(drawn, np.random.default_rng(0))
    for name, curve in found.items():
        typer.echo(f"{name}: " + ", ".join(f"{band}: {of:.2f}" for band, of in curve.items()))
    typer.echo(
        "95% of random pages: " + ", ".join(f"{a:.2f} to {b:.2f}" for a, b in around.values())
    )
    write_result("position-curve", {"curves": found, "random_pages_95": around})


if __name__ == "__main__":
    typer.run(compare)
