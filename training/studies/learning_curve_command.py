"""Command ``python -m training learning-curve``: how many customers a ranker needs."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from training.configuration import RunConfig, TrainingOptions, write_config
from training.console import (
    CACHE,
    SCRATCH,
    Json,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_left_out,
    with_folder,
)
from training.evaluation.output import compared, difference_table, plain
from training.parts.options import StoredData
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import assemble
from training.report.terminal import print_table
from training.studies.ablation import Halves, begin_of_last
from training.studies.learning_curve import SHARES, TOLERANCE, LearningCurve, learning_curve


def learning_curve_command(
    data: StoredData,
    until: Annotated[
        datetime | None, typer.Option(help="Use only what was received before, UTC.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the configuration with the sample that is enough: FILE.json.",
            dir_okay=False,
            callback=with_folder,
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of trees and resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit the meta-model on 1/32 to all of the customers, and say when more stop paying."""
    with exit_on_user_error(), bars() as progress:
        start = RunConfig.read(config)
        options = TrainingOptions(config=start, seed=seed, scratch=cache / SCRATCH)
        source = DataOptions(directory=data, cache=cache, until=aware(until))
        prepared = prepare(source, options, progress=progress)
        print_left_out(prepared.dataset.faults.n_refused())
        examples = assemble(prepared, options, progress=progress)
        halves = Halves.of(examples, begin_of_last(examples), outcome_us=start.outcome_us)
        progress.stage("rankers", len(SHARES) + 1)
        found = learning_curve(
            halves,
            examples.past.events.customers.values,
            schema=examples.schema,
            config=start,
            seed=seed,
            tick=progress.tick,
        )
        sample = found.enough * start.sample
        if out is not None:
            write_config(out, start.model_copy(update={"sample": sample}))
    if as_json:
        sizes: list[JsonValue] = [asdict(one) for one in found.sizes]
        print_json(
            {
                "sizes": sizes,
                "too_few": [*found.too_few],
                "figures": plain(found.means),
                "differences": compared(found.differences),
                "sample": sample,
            }
        )
    else:
        _tell(found, sample)


def _tell(found: LearningCurve, sample: float) -> None:
    for one in found.sizes:
        typer.echo(
            f"{one.share:g} of the customers: {one.customers:,} customers, {one.slates:,} slates,"
            f" {one.outcomes:,} outcomes"
        )
    for share in found.too_few:
        typer.echo(f"{share:g} of the customers: too few outcomes to fit")
    print_table(difference_table("Difference to all customers", found.differences))
    if found.enough == 1.0:
        typer.echo(
            "no smaller sample is certainly enough: more customers still pay, or the later slates,"
            " by which all are judged, are too few to tell. Learn from all"
        )
    else:
        typer.echo(
            f"--sample {sample:g} is enough: by the 95% interval it costs less than"
            f" {TOLERANCE:.0%} of the reciprocal rank, and so does each larger one"
        )
