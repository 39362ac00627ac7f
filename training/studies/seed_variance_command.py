"""Command ``python -m training seeds``: the variance of metrics over seeds."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from models.dataset.reading import read_dataset
from training.configuration import RunConfig, TrainingOptions
from training.console import (
    BUNDLES,
    CACHE,
    Bundles,
    Data,
    Json,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_left_out,
)
from training.pipeline.prepare import DataOptions, prepare
from training.studies.seed_variance import Study, spread


def seeds_command(
    data: Data,
    until: Annotated[
        datetime, typer.Option(help="Learn from what was received before, judge what follows; UTC.")
    ],
    n_seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many seeds.")] = 5,
    out: Bundles = BUNDLES,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits of the protocol open.")] = 4_000,
    as_json: Json = False,
) -> None:
    """Train and judge once a seed, and say how far the meta-model's figures move."""
    with exit_on_user_error(), bars() as progress:
        run = RunConfig.read(config)
        prepared = prepare(
            DataOptions(directory=data, cache=cache, until=aware(until)),
            TrainingOptions(config=run),
            progress=progress,
        )
        print_left_out(prepared.dataset.faults.n_refused())
        study = Study(
            dataset=read_dataset(data),
            material=prepared,
            config=run,
            max_visits=max_visits,
            root=out,
            cache=cache,
        )
        found = spread(study, n_seeds, progress=progress)
    if as_json:
        print_json(
            {
                protocol: {
                    metric: {"mean": one.mean, "sd": one.sd, "values": list(one.values)}
                    for metric, one in metrics.items()
                }
                for protocol, metrics in found.items()
            }
        )
        return
    for protocol, metrics in found.items():
        for metric, one in metrics.items():
            typer.echo(f"{protocol} {metric}: {one.mean:.4g} ± {one.sd:.2g} over {n_seeds} seeds")
