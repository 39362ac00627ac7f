"""Commands ``python -m training experiment-design`` and ``experiment-report``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from models.dataset import read_event_log
from models.dataset.events import EventTable
from models.experiments.analysis.design import design
from models.experiments.analysis.interleaving import InterleavingResults, interleaving_results
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.exposure import read_exposures
from models.experiments.plan.bucketing import BUCKETS
from models.experiments.plan.experiment import Experiment, Kind, Unit
from models.experiments.plan.plan_file import find, read_plan
from training.console import Data, Json, exit_on_user_error, print_json, with_folder
from training.experiments.document import design_document, results_document
from training.experiments.interleaving_document import interleaving_document
from training.report.block import Block
from training.report.page import page
from training.report.terminal import print_blocks

Name = Annotated[str, typer.Option(help="Experiment.")]
PlanFile = Annotated[
    Path, typer.Option(help="Plan of experiments, YAML or JSON.", exists=True, dir_okay=False)
]
Page = Annotated[
    Path | None, typer.Option(help="HTML page to write.", dir_okay=False, callback=with_folder)
]


def experiment_design_command(
    name: Name,
    plan: PlanFile,
    data: Data,
    out: Page = None,
    lift: Annotated[
        float, typer.Option(min=0.0001, help="Relative lift that is to be found.")
    ] = 0.05,
    as_json: Json = False,
) -> None:
    """Say what an experiment could find and how long it takes, from events before its start."""
    with exit_on_user_error():
        whole = read_plan(plan)
        experiment, unit = find(whole, name)
        held_out = whole.holdout.share_bp / BUCKETS if whole.holdout else 0.0
        events = _events(data)
        found = design(experiment, events, unit=unit, wanted_lift=lift, held_out=held_out)
    _say(f"Design of {name}", found, design_document(found), out=out, as_json=as_json)


def experiment_report_command(
    name: Name,
    plan: PlanFile,
    data: Data,
    exposures: Annotated[
        Path, typer.Option(help="Directory with exposures.parquet.", exists=True, file_okay=False)
    ],
    out: Page = None,
    as_json: Json = False,
) -> None:
    """Say what came of an experiment, from exported files: what the service answers, as a page."""
    with exit_on_user_error():
        experiment, unit = find(read_plan(plan), name)
        results, blocks = _results(experiment, exposures, unit=unit, events=_events(data))
    _say(f"Experiment {name}", results, blocks, out=out, as_json=as_json)


def _events(data: Path) -> EventTable:
    # An export holds no sales.
    events, faults = read_event_log(data)
    for code, n in faults.counts().items():
        typer.echo(f"{n} × {code}", err=True)
    return events


def _results(
    experiment: Experiment, exposures: Path, *, unit: Unit, events: EventTable
) -> tuple[Results | InterleavingResults, list[Block]]:
    answers = read_exposures(exposures)
    if experiment.kind is Kind.INTERLEAVING:
        shared = interleaving_results(experiment, answers, unit=unit, events=events)
        return shared, interleaving_document(shared)
    results = experiment_results(experiment, answers, unit=unit, events=events)
    return results, results_document(results)


def _say(
    title: str, found: BaseModel, blocks: Sequence[Block], *, out: Path | None, as_json: bool
) -> None:
    if out is not None:
        out.write_text(page(title, blocks), encoding="utf-8")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_blocks(blocks)
