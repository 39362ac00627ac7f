"""Command ``python -m training cold-start``: the value of pictures for new sales."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from models.domain.units import HOUR_US
from training.configuration import RunConfig, TrainingOptions
from training.console import (
    BUNDLES,
    CACHE,
    Data,
    Json,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_left_out,
)
from training.evaluation.output import interval_table, plain
from training.evaluation.protocol import Protocol
from training.pipeline.prepare import DataOptions, prepare
from training.report.terminal import print_table
from training.studies.cold_start import ColdStart, prove_cold_start


def cold_start_command(
    data: Data,
    until: Annotated[
        datetime, typer.Option(help="Learn from what was received before, judge what follows; UTC.")
    ],
    hours: Annotated[float, typer.Option(min=0.1, help="A sale is new for so long.")] = 24.0,
    out: Annotated[Path, typer.Option(help="Directory of both bundles.")] = BUNDLES,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Labelled pictures; default: scenes/ of the dataset.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits judged at most.")] = 4_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of training, samples, permutation.")] = 0,
    as_json: Json = False,
) -> None:
    """Rank new sales by a bundle with pictures, one without, popularity, and wrong pictures."""
    with exit_on_user_error(), bars() as progress:
        proof = ColdStart(
            data=data,
            new_within_us=round(hours * HOUR_US),
            max_visits=max_visits,
            config=RunConfig.read(config),
            seed=seed,
            root=out,
            cache=cache,
        )
        prepared = prepare(
            DataOptions(directory=data, cache=cache, until=aware(until), scenes=scenes),
            TrainingOptions(config=proof.config, seed=seed),
            progress=progress,
        )
        print_left_out(prepared.dataset.faults.n_refused())
        figures = prove_cold_start(prepared, proof, progress=progress)
    if as_json:
        print_json(plain(figures))
    else:
        print_table(interval_table(f"{Protocol.OPEN}, new sales", figures))
