"""Small shops: a bundle that learns from few purchases, beside simple rules.

Question: from 50, 100, 200 and 300 purchases, is the meta-model above rules of one line?

Method: ``python -m benchmarks.quality.small_shops [--shop grocer] [--purchases 50] [--shops 8]``.
Shops are those of `benchmarks.quality.shop_logs`, and Online Retail, of which customers are drawn
until about so many purchases before the split are left. Each is trained on and judged as `evaluate`
does; figures are means over shops of different seeds, differences to the meta-model are paired by
shop, with Student's intervals over shops. A shop that `train` refuses is counted.

Last numbers: see docs/evaluation.md.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks.quality.real_sets import FOLDERS, SETS, SHARED, run
from benchmarks.quality.shop_logs import SHOPS
from benchmarks.results import write_result
from models.dataset.reading import read_dataset
from models.domain.event import to_us
from models.scoring.bundle import read_bundle
from models.scoring.scorer import META, Scorer
from tests.worlds import Silent
from training.configuration import RunConfig, TrainingOptions
from training.evaluation.evaluate import Question, evaluate
from training.evaluation.measure import MRR
from training.evaluation.protocol import Protocol
from training.pipeline.train import train
from training.pipeline.training_data import TrainingData, cut
from training.ranker.fit_ranker import TooFewPurchasesError

SIZES: Final = (50, 100, 200, 300)
"""Purchases that are learned from."""

_MAX_VISITS: Final = 150  # judged of each shop: bounds its time to some seconds; chosen


@dataclass(frozen=True, slots=True)
class Cut:
    """How a real set is cut.

    Attributes:
        since: Events before it are left out, UTC.
        until: The split, UTC.
        largest_share: Customers with a larger share of the purchases are left out.
    """

    since: datetime
    until: datetime
    largest_share: float


CUTS: Final[Mapping[str, Cut]] = {
    # A wholesaler's customers order dozens of lines at once.
    "online_retail": Cut(datetime(2010, 6, 1, tzinfo=UTC), datetime(2010, 9, 15, tzinfo=UTC), 0.1),
}


def cut_to(whole: Path, folder: Path, *, name: str, n_purchases: int, seed: int) -> None:
    """Write a dataset of customers of another, drawn until so many purchases precede the split."""
    how, rng = CUTS[name], np.random.default_rng([seed, n_purchases])
    events = pl.read_parquet(whole / "events.parquet").filter(pl.col("at") >= how.since)
    bought = events.filter((pl.col("type") == "purchase") & (pl.col("at") < how.until))
    counts = dict(bought.group_by("customer_id").len().iter_rows())
    kept, n_kept = list[str](), 0
    for one in rng.permutation(events["customer_id"].unique().sort().to_numpy()).tolist():
        if n_kept < n_purchases and counts.get(one, 0) <= how.largest_share * n_purchases:
            kept.append(one)
            n_kept += counts.get(one, 0)
    events = events.filter(pl.col("customer_id").is_in(kept))
    folder.mkdir()
    events.write_parquet(folder / "events.parquet")
    sales = pl.read_parquet(whole / "sales.parquet")
    # Else every article of the whole shop would be open in one that sells few.
    sales = sales.filter(pl.col("sale_id").is_in(events["sale_id"].unique().implode()))
    sales.write_parquet(folder / "sales.parquet")


def judged(
    folder: Path, until: datetime, *, config: RunConfig, protocol: Protocol
) -> dict[str, float]:
    """Train on a dataset up to the split, and return the MRR of each scorer after it."""
    dataset, until_us = read_dataset(folder), to_us(until)
    data = TrainingData(cut(dataset, until_us), until_us, None, {})
    bundle = train(data, TrainingOptions(config=config), root=folder / "bundles", progress=Silent())
    loaded = read_bundle(bundle)
    question = Question(
        dataset=dataset,
        pictures={},
        from_us=until_us,
        learned_until_us=until_us,
        max_visits=_MAX_VISITS,
        config=RunConfig.model_validate(loaded.manifest.config),
        seed=0,
    )
    found = evaluate(Scorer.load(loaded), question, progress=Silent(), protocols={protocol})
    return {name: row[MRR].value for name, row in found.protocols[protocol].scorers.items()}


def shops_of(
    name: str, n_purchases: int, *, n_shops: int, work: Path
) -> Iterator[tuple[Path, datetime]]:
    """Yield datasets of one kind of shop and size, with their splits."""
    whole = work / name
    if name in CUTS and not whole.exists():
        source = SHARED / FOLDERS.get(name, name)
        run("import", *SETS[name].importing(source, work), "--out", whole)
    for seed in range(n_shops):
        folder = work / f"{name}-{n_purchases}-{seed}"
        if name in CUTS:
            cut_to(whole, folder, name=name, n_purchases=n_purchases, seed=seed)
            yield folder, CUTS[name].until
        else:
            log = SHOPS[name](n_purchases, np.random.default_rng([seed, n_purchases]))
            log.write(folder)
            yield folder, log.until


def pooled(shops: list[dict[str, float]]) -> dict[str, tuple[float, float, float]]:
    """Return by scorer the mean over shops, and its paired difference to meta with half a width."""
    names = {name for name in shops[0] if all(name in one for one in shops)}
    found = dict[str, tuple[float, float, float]]()
    for name in names:
        own = np.array([one[name] for one in shops])
        gaps = own - np.array([one[META] for one in shops])
        found[name] = float(own.mean()), float(gaps.mean()), half_width(gaps)
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def half_width(values: NDArray[np.float64]) -> float:
    """Return half of Student's 95% interval of a mean; NaN of one value."""
    n = len(values)
    if n == 1:
        return math.nan
    return float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n))


def show(title: str, table: Mapping[str, tuple[float, float, float]]) -> None:
    """Print a line a scorer, the best first, with its paired difference to the meta-model."""
    typer.echo(f"\n## {title}")
    for scorer, (mean, gap, half) in table.items():
        interval = f"{gap:+.3f} [{gap - half:+.3f}, {gap + half:+.3f}]"
        typer.echo(f"| {scorer} | {mean:.3f} | {interval} |")


def judge_size(name: str, n_purchases: int, *, n_shops: int, work: Path) -> None:
    """Judge the shops of one kind and size, and print and write what was found."""
    real = SETS.get(name)
    settings = work / "config.toml"
    settings.write_text(real.configuration if real else "")
    config = RunConfig.read(settings)
    found, n_refused = list[dict[str, float]](), 0
    for folder, until in shops_of(name, n_purchases, n_shops=n_shops, work=work):
        try:
            found.append(judged(folder, until, config=config, protocol=protocol_of(name)))
        except TooFewPurchasesError:
            n_refused += 1
    title = f"{name}, {n_purchases} purchases: {len(found)} shops, {n_refused} refused"
    show(title, pooled(found) if found else {})
    write_result(f"small_shops-{name}-{n_purchases}", {"shops": found, "refused": n_refused})


def protocol_of(name: str) -> Protocol:
    """Return what is ranked: lists where the shop logs some."""
    if name in SETS:
        return Protocol(SETS[name].protocol)
    return Protocol.SHOWN if name == "outlet" else Protocol.OPEN


def compare(
    shop: Annotated[list[str] | None, typer.Option(help="A shop; again for several.")] = None,
    purchases: Annotated[list[int] | None, typer.Option(help="Purchases to learn from.")] = None,
    shops: Annotated[int, typer.Option(min=2, help="Shops of each kind and size.")] = 8,
) -> None:
    """Judge small shops, print their scorers, and write results/benchmarks/small_shops-….json."""
    for name in shop or [*SHOPS, *CUTS]:
        with TemporaryDirectory() as work:
            for n_purchases in purchases or SIZES:
                judge_size(name, n_purchases, n_shops=shops, work=Path(work))


if __name__ == "__main__":
    typer.run(compare)
