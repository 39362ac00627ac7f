"""Command ``python -m training tune``: search of hyperparameters."""

import time
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from training.parts.options import StoredData
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import assemble
from training.pipeline.training_data import TrainingData
from training.studies.ablation import Halves, begin_of_last

if TYPE_CHECKING:
    from training.studies.hyperparameters import Trial


def tune_command(
    data: StoredData,
    out: Annotated[
        Path,
        typer.Option(
            help="Configuration to write, JSON: FILE.json.", dir_okay=False, callback=with_folder
        ),
    ],
    until: Annotated[
        datetime | None, typer.Option(help="Use only what was received before, UTC.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Configurations to try at most.")] = 30,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="No new trial after so long.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Where to start; TOML or JSON.")] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search and the trees.")] = 0,
    jobs: Annotated[
        int, typer.Option(min=1, help="Trials at the same time; other numbers try others.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Search hyperparameters by Optuna; goes on where an earlier run stopped."""
    # Optuna takes most of a second to import, which no other command waits for.
    from training.studies.hyperparameters import best, later_loss, open_study, search

    deadline = None if seconds is None else time.monotonic() + seconds
    with exit_on_user_error(), bars() as progress:
        start = RunConfig.read(config)
        options = TrainingOptions(config=start, seed=seed, scratch=cache / SCRATCH)
        source = DataOptions(directory=data, cache=cache, until=aware(until))
        material = prepare(source, options, progress=progress)
        print_left_out(material.dataset.faults.n_refused())
        study = open_study(out.with_suffix(".trials.jsonl"), _study_name(material, options))
        examples = assemble(material, options, progress=progress)
        halves = Halves.of(examples, begin_of_last(examples), outcome_us=start.outcome_us)
        loss = partial(later_loss, halves=halves, schema=examples.schema, seed=seed)
        n_known = sum(one.state.is_finished() for one in study.trials)
        progress.stage("trials", max(trials - n_known, 0))

        def more(n_done: int) -> int:
            in_time = deadline is None or time.monotonic() < deadline
            return trials - n_done if in_time else 0

        tick = progress.tick
        found = search(study, loss, start=start, seed=seed, n_jobs=jobs, more=more, tick=tick)
        chosen = best(found)
        write_config(out, chosen.config(start))
    _tell(found, chosen, out=out, as_json=as_json)


def _study_name(data: TrainingData, options: TrainingOptions) -> str:
    # Trials of one study can be compared: the same data, end, start and seed.
    start = options.config.model_dump_json()
    same = (data.dataset.fingerprint, data.until_us, start, options.seed)
    return sha256("\n".join(map(str, same)).encode()).hexdigest()[:16]


def _tell(found: "list[Trial]", chosen: "Trial", *, out: Path, as_json: bool) -> None:
    if as_json:
        trials: list[JsonValue] = [trial.model_dump(mode="json") for trial in found]
        print_json({"trials": trials, "best": chosen.number, "config": str(out)})
        return
    for trial in sorted(found, key=lambda trial: trial.log_loss):
        typer.echo(f"{trial.number:4d}  {trial.log_loss:.6f}  {trial.trees!r}")
    typer.echo(f"{out}: trial {chosen.number}")
