"""Command ``python -m training experiment-report``: results or design of an experiment."""

from pathlib import Path
from typing import Annotated

import typer

from models.dataset import read_event_log
from models.dataset.events import EventTable
from models.experiments.analysis.attribution import Rules
from models.experiments.analysis.design import Design, NoBaselineError, design
from models.experiments.analysis.interleaving import (
    INTERLEAVING_RULES,
    InterleavingResults,
    interleaving_results,
)
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.exposure import read_exposures
from models.experiments.plan.experiment import Experiment, Kind, Unit
from models.experiments.plan.plan_file import find, read_plan
from training.console import Data, Json, exit_on_user_error, print_json, with_folder
from training.experiments.document import design_document, results_document
from training.experiments.interleaving_document import interleaving_document
from training.report.block import Block, Paragraph
from training.report.page import page
from training.report.terminal import print_blocks

_RULES = Rules()

PlanFile = Annotated[
    Path, typer.Option(help="Plan of experiments, YAML or JSON.", exists=True, dir_okay=False)
]
Exposures = Annotated[
    Path | None,
    typer.Option(
        help="Directory with exposures.parquet; none: only what it could see.",
        exists=True,
        file_okay=False,
    ),
]
Page = Annotated[
    Path | None, typer.Option(help="HTML page to write.", dir_okay=False, callback=with_folder)
]
# Chosen: at most a quarter of a year after the first exposure, and a year before it.
WindowHours = Annotated[
    float,
    typer.Option(
        min=0.1, max=2_160, help="What a unit does so long after its first exposure counts."
    ),
]
BeforeDays = Annotated[
    float, typer.Option(min=0.1, max=400, help="What it did so long before is the covariate.")
]
PlannedUnits = Annotated[
    int | None,
    typer.Option(
        min=100,
        help="Units at which looking early costs least, chosen beforehand: "
        f"{_RULES.planned_units}, or {INTERLEAVING_RULES.planned_units} who prefer one variant of"
        " an interleaving.",
        show_default=False,
    ),
]
Lift = Annotated[float, typer.Option(min=0.0001, help="Relative lift that is to be found.")]


def experiment_report_command(
    name: Annotated[str, typer.Option(help="Experiment.")],
    plan: PlanFile,
    data: Data,
    exposures: Exposures = None,
    out: Page = None,
    window_hours: WindowHours = _RULES.window_hours,
    before_days: BeforeDays = _RULES.before_days,
    planned_units: PlannedUnits = None,
    lift: Lift = 0.05,
    as_json: Json = False,
) -> None:
    """Say what came of an experiment, and what it can see, from exported files."""
    with exit_on_user_error():
        experiment, unit = find(read_plan(plan), name)
        usual = INTERLEAVING_RULES if experiment.kind is Kind.INTERLEAVING else _RULES
        rules = Rules(
            window_hours=window_hours,
            before_days=before_days,
            planned_units=planned_units or usual.planned_units,
        )
        # An export holds no sales.
        events, faults = read_event_log(data)
        for code, n in faults.counts().items():
            typer.echo(f"{n} × {code}", err=True)
        results, blocks = _results(experiment, exposures, unit=unit, events=events, rules=rules)
    planned: Design | None = None
    try:
        planned = design(experiment, events, unit=unit, wanted_lift=lift, rules=rules)
        blocks += design_document(planned)
    except NoBaselineError as exc:
        typer.echo(f"no power and duration: {exc}", err=True)
        blocks.append(Paragraph(f"No power and duration: {exc}"))
    if out is not None:
        out.write_text(page(f"Experiment {name}", blocks), encoding="utf-8")
    if as_json:
        print_json(
            {
                "results": results.model_dump(mode="json") if results else None,
                "design": planned.model_dump(mode="json") if planned else None,
            }
        )
    else:
        print_blocks(blocks)


def _results(
    experiment: Experiment,
    exposures: Path | None,
    *,
    unit: Unit,
    events: EventTable,
    rules: Rules,
) -> tuple[Results | InterleavingResults | None, list[Block]]:
    if exposures is None:
        return None, []
    answers = read_exposures(exposures)
    if experiment.kind is Kind.INTERLEAVING:
        shared = interleaving_results(experiment, answers, unit=unit, events=events, rules=rules)
        return shared, interleaving_document(shared)
    results = experiment_results(experiment, answers, unit=unit, events=events, rules=rules)
    return results, results_document(results)
