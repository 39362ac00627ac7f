"""``python -m training train`` and ``evaluate``."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue, ValidationError
from rich.console import Console
from rich.table import Table

from models.bundle import Bundle, BundleError, read_bundle, resolve_bundle
from models.counters import HOUR_US
from models.dataset.faults import DatasetError
from models.dataset.reading import Dataset, read_dataset
from models.events import to_us
from models.sale import PictureScores
from models.scenes import SceneLabeller
from models.scoring import Scorer
from training.configuration import ConfigurationError, RunConfig
from training.console import Bars, bars, print_json, stop_on
from training.evaluation.evaluate import Question, evaluate
from training.evaluation.interval import Interval
from training.ranking import TooFewPurchasesError
from training.run import NothingKnownError, prepare
from training.scenes.backbone import BackboneError
from training.scenes.layout import LayoutError
from training.scenes.model import SceneTrainingError
from training.seeing import permuted, see_sales
from training.train import train

BUNDLES = Path("models/bundles")
CACHE = Path("var")

Data = Annotated[Path, typer.Option(help="Dataset.", exists=True, file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def train_command(
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory of bundles.")] = BUNDLES,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Learn only from what was received before, UTC.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Labelled pictures; default: scenes/ of the dataset.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Same data, config, seed: same bundle.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at faulty rows.")] = False,
    as_json: Json = False,
) -> None:
    """Train on a dataset and write a bundle."""
    errors = (
        BackboneError,
        ConfigurationError,
        DatasetError,
        LayoutError,
        NothingKnownError,
        SceneTrainingError,
        TooFewPurchasesError,
    )
    with stop_on(*errors), bars() as progress:
        run = RunConfig.read(config)
        prepared = prepare(
            data,
            until=aware(until),
            scenes=scenes,
            cache=cache,
            seed=seed,
            strict=strict,
            progress=progress,
        )
        bundle = train(prepared.material, config=run, seed=seed, root=out, progress=progress)
    # Verified as the service will verify it: what cannot be served fails here.
    manifest = read_bundle(bundle).manifest
    Scorer.load(read_bundle(bundle))
    faults = prepared.material.dataset.faults.counts()
    report: dict[str, JsonValue] = {
        "bundle": manifest.bundle_id,
        "directory": str(bundle),
        "metrics": manifest.metrics,
        "faults": {code.value: n for code, n in faults.items()},
        "broken_pictures": len(prepared.faults),
    }
    if as_json:
        print_json(report)
        return
    typer.echo(f"bundle {bundle}")
    for name, value in manifest.metrics.items():
        typer.echo(f"  {name}: {value:.6g}")
    for code, n in faults.items():
        typer.echo(f"  {n} × {code}", err=True)


def evaluate_command(
    bundle: Annotated[str, typer.Option(help="Bundle: a directory, or an id.")],
    data: Data,
    start: Annotated[
        datetime | None,
        typer.Option("--from", help="Judge what was shown from then on, UTC; default: all."),
    ] = None,
    bundles: Annotated[Path, typer.Option(help="Directory of bundles.")] = BUNDLES,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits of the protocol open.")] = 4_000,
    cache: Annotated[Path, typer.Option(help="Picture scores.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples.")] = 0,
    new_sales_hours: Annotated[
        float | None,
        typer.Option(min=0.1, help="Rank only sales that opened at most so long before."),
    ] = None,
    permute_pictures: Annotated[
        int | None,
        typer.Option(min=0, help="Seed: give every sale the picture of another one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge a bundle beside its recommenders, on lists that were shown and on all open sales."""
    with stop_on(BundleError, DatasetError), bars() as progress:
        directory = resolve_bundle(bundle, bundles)
        loaded = read_bundle(directory)
        scorer = Scorer.load(loaded)
        dataset = read_dataset(data)
        dataset.require_sales_and_events()
        moment = aware(start)
        pictures = _pictures(loaded, directory, dataset=dataset, cache=cache, progress=progress)
        question = Question(
            dataset=dataset,
            pictures=pictures if permute_pictures is None else permuted(pictures, permute_pictures),
            from_us=to_us(moment) if moment else 0,
            max_visits=max_visits,
            config=_config(loaded),
            seed=seed,
            new_within_us=None if new_sales_hours is None else round(new_sales_hours * HOUR_US),
        )
        figures = evaluate(scorer, question, progress=progress)
    if not figures:
        typer.echo("nothing can be judged: no purchase follows what was shown then", err=True)
    if as_json:
        print_json({protocol: _plain(scorers) for protocol, scorers in figures.items()})
        return
    for protocol, scorers in figures.items():
        print_table(protocol, scorers)


def _config(bundle: Bundle) -> RunConfig:
    try:
        return RunConfig.model_validate(bundle.manifest.config)
    except ValidationError as exc:
        msg = f"bundle {bundle.id}: configured for other software, train it again: {exc}"
        raise BundleError(msg) from exc


def _pictures(
    bundle: Bundle, directory: Path, *, dataset: Dataset, cache: Path, progress: Bars
) -> dict[str, PictureScores]:
    if not bundle.manifest.scene_model:
        return {}
    progress.stage("pictures", len(dataset.pictures))
    labeller = SceneLabeller.open(directory)
    return see_sales(dataset.images, labeller, cache=cache, tick=progress.tick)[0]


def _plain(scorers: Mapping[str, Mapping[str, Interval]]) -> JsonValue:
    return {
        scorer: {metric: asdict(interval) for metric, interval in metrics.items()}
        for scorer, metrics in scorers.items()
    }


def print_table(protocol: str, scorers: Mapping[str, Mapping[str, Interval]]) -> None:
    """Print intervals, a line a scorer and a column a metric."""
    metrics = list(dict.fromkeys(name for figures in scorers.values() for name in figures))
    table = Table("scorer", title=protocol)
    for metric in metrics:
        table.add_column(metric, justify="right")
    for scorer, figures in scorers.items():
        table.add_row(scorer, *(_cell(figures.get(metric)) for metric in metrics))
    Console(width=200).print(table)


def _cell(figure: Interval | None) -> str:
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]" if figure else "-"


def aware(moment: datetime | None) -> datetime | None:
    """Read a time without a zone as UTC."""
    return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment
