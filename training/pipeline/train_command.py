"""Command ``python -m training train``: trains a bundle from a dataset."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from models.domain.event import to_us
from models.pictures.scene_labeller import PictureFault
from models.ranker.objective import TrainingObjective
from models.scoring.bundle import Manifest, read_bundle
from models.scoring.model_card import read_model_card
from models.scoring.scorer import Scorer
from training.configuration import RunConfig, TrainingOptions, four_half_lives
from training.console import (
    BUNDLES,
    CACHE,
    SCRATCH,
    Bundles,
    Json,
    Threads,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_remarks,
)
from training.parts.options import FewProcesses, Parts, Scheduler, StoredData
from training.pipeline.column_uses import COLUMNS_FILE
from training.pipeline.model_card import judged_calibration
from training.pipeline.prepare import (
    DataOptions,
    prepare,
    require_happened,
)
from training.pipeline.train import n_unpriced, train
from training.ranker.calibration import MIN_SLOPE


def _checked_half_lives(given: tuple[str, ...] | None) -> tuple[str, ...] | None:
    # With three numbers the next option is taken for the fourth.
    try:
        _ = given and four_half_lives(given)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    return given


def train_command(
    data: StoredData,
    out: Bundles = BUNDLES,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Learn only from what was received before, UTC.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Labelled pictures; default: scenes/ of the dataset.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Same data, config, seed: same bundle.")] = 0,
    threads: Threads = 1,
    objective: Annotated[
        TrainingObjective | None,
        typer.Option(help="What is learned; default: purchase, or click without purchases."),
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option(help="Share of the customers that the ranker learns from; default: all."),
    ] = None,
    half_lives: Annotated[
        tuple[str, str, str, str] | None,
        typer.Option(
            help="Four half-lives of popularity in hours; default: 1 6 48 336.",
            callback=_checked_half_lives,
        ),
    ] = None,
    scheduler: Scheduler = None,
    processes: FewProcesses = None,
    parts: Parts = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at faulty rows.")] = False,
    as_json: Json = False,
) -> None:
    """Train on a dataset and write a bundle."""
    source = DataOptions(
        directory=data, cache=cache, until=aware(until), scenes=scenes, strict=strict
    )
    broken_pictures: list[PictureFault] = []
    with exit_on_user_error(), bars() as progress:
        settings = RunConfig.read(
            config, objective=objective, half_lives_hours=half_lives, sample=sample
        )
        options = TrainingOptions(
            config=settings,
            seed=seed,
            threads=threads,
            scratch=cache / SCRATCH,
            n_parts=parts,
            scheduler=scheduler,
            n_processes=processes,
        )
        prepared = prepare(source, options, progress=progress, faults=broken_pictures)
        if until is None:
            require_happened(prepared.dataset, to_us(datetime.now(UTC)))
        directory = train(prepared, options, root=out, progress=progress)
        n_sales, unpriced = len(prepared.dataset.sales), n_unpriced(prepared.dataset.sales)
    # Loaded as the service loads it: a bundle that cannot be served fails here.
    bundle = read_bundle(directory)
    Scorer.load(bundle)
    columns: list[dict[str, JsonValue]] = json.loads(bundle.text(COLUMNS_FILE))
    # The list of columns says these already.
    unused = {(column["column"], column["why"]) for column in columns if not column["used"]}
    found = prepared.dataset.faults
    print_remarks(remarks_on_bundle(bundle.manifest, n_sales=n_sales, unpriced=unpriced))
    if judged := judged_calibration(read_model_card(bundle)):
        print_remarks([judged])
    print_remarks(one for one in found.remarks() if (one.column, one.reason) not in unused)
    faults = {code.value: n for code, n in found.counts().items()}
    if as_json:
        found_here = {"directory": str(directory), "broken_pictures": len(broken_pictures)}
        print_json({**_report(bundle.manifest, columns, faults=faults), **found_here})
        return
    typer.echo(f"bundle {directory}")
    _print_bundle(bundle.manifest, columns, faults=faults)


def remarks_on_bundle(manifest: Manifest, *, n_sales: int, unpriced: int) -> list[str]:
    """Return what an operator has to know of a bundle that was trained."""
    remarks: list[str] = []
    if unpriced and manifest.config["objective"] == TrainingObjective.VALUE:
        remarks.append(
            f"{unpriced:,} of {n_sales:,} sales have no price, and stand below the others"
        )
    if manifest.metrics["calibration_slope"] == MIN_SLOPE:
        remarks.append(
            "the scores hardly tell what is bought, so that probabilities are nearly one rate (the "
            f"slope of the calibration is {MIN_SLOPE:g}, its least): give more data"
        )
    return remarks


def _report(
    manifest: Manifest, columns: list[dict[str, JsonValue]], *, faults: Mapping[str, int]
) -> dict[str, JsonValue]:
    return {
        "bundle": manifest.bundle_id,
        "objective": manifest.config["objective"],
        "part": manifest.part,
        "metrics": manifest.metrics,
        "left_out": dict(manifest.left_out),
        "faults": dict(faults),
        "columns": [*columns],
    }


def _print_bundle(
    manifest: Manifest, columns: list[dict[str, JsonValue]], *, faults: Mapping[str, int]
) -> None:
    typer.echo(f"  objective: {manifest.config['objective']}")
    if manifest.part:
        better = "it orders the held-out slates better than all features"
        typer.echo(f"  the meta-model reads {manifest.part} alone: {better}")
    for name, value in manifest.metrics.items():
        typer.echo(f"  {name}: {value:.6g}")
    for column in columns:
        if not column["used"]:
            typer.echo(f"  not used: {column['table']}.{column['column']}: {column['why']}")
    for name, reason in manifest.left_out.items():
        typer.echo(f"  without {name}: {reason}")
    if faults:
        listed = ", ".join(f"{code} {n:,}" for code, n in faults.items())
        typer.echo(f"what `python -m training validate` explains: {listed}", err=True)
