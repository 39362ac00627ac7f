"""Real data sets: a bundle beside its recommenders and baselines, split by time.

Question: on data that this project did not make, is the meta-model above its best recommender and
the baselines?

Method: ``python -m benchmarks.quality.real_sets [--only coupons]``. Each set is imported by its
mapping in ``mappings/``, or its own importer, a bundle is trained on what was received before the
split, and evaluated on what was shown, or bought, after it. Every step is the command that users
run, in a process of its own, whose seconds and peak memory are recorded. Sets that are absent are
named and left out.
Differences are paired, with bootstrap intervals over customers, as `evaluate` has them.

Last numbers: see docs/evaluation.md.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import polars as pl
import typer

from benchmarks.results import write_result
from tests.proofs import ROOT

MAPPINGS: Final = ROOT / "benchmarks" / "quality" / "mappings"
SHARED: Final = ROOT.parent / "shared" / "data"

Arguments = Sequence[str | Path]
"""Arguments of ``python -m training import``."""


@dataclass(frozen=True, slots=True)
class RealSet:
    """A data set and how it is split.

    Attributes:
        importing: Makes the arguments of the import, from the folder of the set and a folder to
            write files to.
        until: The split, UTC.
        protocol: What is ranked.
        configuration: TOML of the training run.
    """

    importing: Callable[[Path, Path], Arguments]
    until: str
    protocol: str
    configuration: str = ""


def _mapped(mapping: str, **tables: Path) -> Arguments:
    """Return the arguments that import files by a mapping; by the option that takes each."""
    options = [argument for name, path in tables.items() for argument in (f"--{name}", path)]
    return ["table", *options, "--map", MAPPINGS / f"{mapping}.yaml"]


def _coupons(folder: Path, out: Path) -> Arguments:
    """Join the items of a coupon, which no mapping does."""
    items = pl.read_parquet(folder / "items.parquet")
    of_coupon = (
        pl.read_parquet(folder / "coupon_items.parquet")
        .join(items, on="item_id")
        .group_by("coupon_id")
        .agg(
            items=pl.len(),
            brands=pl.col("brand").n_unique(),
            established=(pl.col("brand_type") == "Established").mean(),
            category=pl.col("category").mode().sort().first(),
        )
    )
    keys = ["campaign_id", "coupon_id"]
    exposures = pl.read_parquet(folder / "exposures.parquet")
    sales = exposures.select(*keys, "campaign_type", "start_date", "end_date").unique()
    sales = sales.join(of_coupon, on="coupon_id", how="left").sort(keys)
    sales.write_parquet(out / "coupons.parquet")
    return _mapped(
        "coupons",
        events=folder / "exposures.parquet",
        sales=out / "coupons.parquet",
        customers=folder / "customers.parquet",
    )


def _random_pages_last(folder: Path, out: Path) -> Arguments:
    """Move the pages that were shown in random order 52 weeks on, after all sorted ones."""
    is_random = pl.col("random_bool") == 1
    pages = pl.read_parquet(folder / "slates.parquet").with_columns(
        pl.when(is_random).then(pl.col("date_time").dt.offset_by("52w")).otherwise("date_time")
    )
    pages.write_parquet(out / "pages.parquet")
    return _mapped("expedia", events=out / "pages.parquet")


def _fifth_of_customers(folder: Path, out: Path) -> Arguments:
    """Take every fifth customer and order of a guest, by a hash of the id."""
    lines = pl.read_parquet(folder / "transactions.parquet")
    whose = pl.coalesce(pl.col("customer_id").cast(pl.Int64).cast(pl.String), "invoice")
    lines.filter(whose.hash(0) % 5 == 0).write_parquet(out / "lines.parquet")
    return _mapped("online_retail", events=out / "lines.parquet")


SETS: Final[Mapping[str, RealSet]] = {
    "coupons": RealSet(
        _coupons,
        until="2013-02-16",
        protocol="shown",
        # The longest campaign has 63 days.
        configuration="outcome_hours = 1512\n",
    ),
    "movielens": RealSet(
        lambda folder, _out: _mapped(
            "movielens", events=folder / "ratings.parquet", sales=folder / "movies.parquet"
        ),
        # About a fifth of the ratings are later.
        until="2008-12-01",
        protocol="open",
    ),
    "mind": RealSet(
        lambda folder, _out: _mapped(
            "mind", events=folder / "behaviors.parquet", sales=folder / "news.parquet"
        ),
        until="2019-11-13",
        protocol="shown",
        configuration="outcome_hours = 1\n",
    ),
    "expedia": RealSet(
        lambda folder, _out: _mapped("expedia", events=folder / "slates.parquet"),
        until="2013-03-06",
        protocol="shown",
        # Two thirds of the pages are in the order of the shop.
        configuration="caller_orders = true\n",
    ),
    # Of sorted pages the position is a bias, not the order of the lists that are ranked.
    "expedia_random": RealSet(_random_pages_last, until="2013-07-15", protocol="shown"),
    "online_retail": RealSet(_fifth_of_customers, until="2010-11-25", protocol="open"),
    "online_retail_whole": RealSet(
        lambda folder, _out: _mapped("online_retail", events=folder / "transactions.parquet"),
        until="2010-11-25",
        protocol="open",
    ),
    "trivago": RealSet(
        lambda folder, _out: ["trivago", "--source", folder / "sessions.parquet"],
        # A fifth of the sessions end later.
        until="2018-11-08T03:14:20",
        protocol="shown",
        configuration="""outcome_hours = 1
caller_orders = true

[trees]
leaves = 31
min_rows_per_leaf = 50
l2 = 10
""",
    ),
}
FOLDERS: Final = {
    "expedia_random": "expedia",
    "movielens": "movielens_posters",
    "online_retail_whole": "online_retail",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A command that was run.

    Attributes:
        printed: What it printed on stdout.
        processor_s: Its processor time, seconds.
        peak_mb: Its peak resident memory, MB; at least that of the process that started it.
    """

    printed: bytes
    processor_s: float
    peak_mb: float

    @classmethod
    def run(cls, *command: str | Path) -> "Step":
        """Run a command in the folder of the project.

        Raises:
            subprocess.CalledProcessError: If it fails.
        """
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            printed = process.stdout.read()
            # RUSAGE_CHILDREN has the highest peak of all commands so far, this has the own one.
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        return cls(printed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object that it printed."""
        return json.loads(self.printed)


def run(*arguments: str | Path) -> Step:
    """Run ``python -m training`` with ``--json``."""
    return Step.run(sys.executable, "-m", "training", *arguments, "--json")


def judge(real: RealSet, *, source: Path, work: Path) -> dict[str, Any]:
    """Import, train and evaluate one set; return figures and costs."""
    data, bundles, configuration = work / "data", work / "bundles", work / "config.toml"
    configuration.write_text(real.configuration)
    imported = run("import", *real.importing(source, work), "--out", data)
    until = ("--until", real.until, "--config", configuration, "--out", bundles)
    trained = run("train", "--data", data, *until)
    [bundle] = [path for path in bundles.iterdir() if path.is_dir()]
    since = ("--from", real.until, "--protocol", real.protocol, "--max-visits", "1000")
    evaluated = run("evaluate", "--data", data, "--bundle", bundle, *since)
    judged = evaluated.report
    # At the logged positions where there are some, and without any otherwise.
    calibration: dict[str, Any] = judged["calibration"]
    as_shown: dict[str, Any] = (
        calibration.get("as_shown") or calibration.get("shown_without_position") or {}
    )
    steps = {"import": imported, "train": trained, "evaluate": evaluated}
    return {
        "imported": imported.report,
        "trained": trained.report,
        "figures": judged["figures"][real.protocol],
        "differences": judged["differences"][real.protocol]["meta"],
        "auc": as_shown.get("auc"),
        "processor_s": {name: step.processor_s for name, step in steps.items()},
        "peak_mb": {name: step.peak_mb for name, step in steps.items()},
    }


def show(name: str, found: Mapping[str, Any], *, metric: str) -> None:
    """Print every scorer with its difference to the meta-model, the best first."""
    figures = found["figures"]
    cost = ", ".join(f"{step} {s:.0f} s" for step, s in found["processor_s"].items())
    typer.echo(f"\n## {name}: {metric}, n = {figures['meta'][metric]['n']:,}; {cost}")
    if (auc := found["auc"]) is not None:
        typer.echo(f"AUC of meta as shown: {_interval(auc)}, n = {auc['n']:,}")
    for scorer in sorted(figures, key=lambda one: -(figures[one][metric]["value"] or 0)):
        difference = found["differences"].get(scorer, {}).get(metric)
        beside = "" if difference is None else f" | {_interval(difference)}"
        typer.echo(f"| {scorer} | {_interval(figures[scorer][metric])}{beside} |")


def _interval(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def compare(
    only: Annotated[list[str] | None, typer.Option(help="A set; again for several.")] = None,
    shared: Annotated[Path, typer.Option(help="Where the sets are.")] = SHARED,
    metric: Annotated[str, typer.Option(help="The metric of the table.")] = "ndcg_at_10",
) -> None:
    """Judge every set that is there, and write results/benchmarks/real-….json."""
    for name in only or SETS:
        source = shared / FOLDERS.get(name, name)
        if not source.exists():
            typer.echo(f"{name}: absent, {source}", err=True)
            continue
        with TemporaryDirectory() as work:
            found = judge(SETS[name], source=source, work=Path(work))
        show(name, found, metric=metric)
        write_result(f"real-{name}", found)


if __name__ == "__main__":
    typer.run(compare)
