"""Command ``python -m training ablate``: the contribution of each recommender."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from models.domain.event import to_us
from training.configuration import RunConfig, TrainingOptions
from training.console import (
    CACHE,
    Data,
    Json,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_left_out,
)
from training.evaluation.output import compared, difference_table, plain
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import assemble
from training.report.terminal import print_table
from training.studies.ablation import Halves, ablate, require_later_purchases


def ablate_command(
    data: Data,
    until: Annotated[
        datetime, typer.Option(help="Learn from what was shown before, judge what follows; UTC.")
    ],
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of trees and resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit the meta-model without each recommender in turn, and say what that costs."""
    moment = aware(until)
    with exit_on_user_error(), bars() as progress:
        options = TrainingOptions(config=RunConfig.read(config), seed=seed)
        source = DataOptions(directory=data, cache=cache)
        prepared = prepare(source, options, progress=progress)
        print_left_out(prepared.dataset.faults.n_refused())
        until_us = to_us(moment) if moment else 0
        require_later_purchases(prepared.dataset.events, until_us)
        examples = assemble(prepared, options, progress=progress)
        halves = Halves.of(examples, until_us, outcome_us=options.config.outcome_us)
        progress.stage("rankers", 1 + len(examples.schema.recommenders))
        found = ablate(
            halves, examples.schema, config=options.config, seed=seed, tick=progress.tick
        )
    if as_json:
        print_json({"figures": plain(found.means), "differences": compared(found.differences)})
    else:
        print_table(difference_table("Difference to all recommenders", found.differences))
