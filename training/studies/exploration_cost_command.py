"""Command ``python -m training slate-cost``: the cost of exploration and diversity."""

from dataclasses import asdict
from typing import Annotated

import typer

from models.scoring.scorer import Scorer
from training.console import (
    BUNDLES,
    CACHE,
    BundleId,
    Bundles,
    Data,
    Json,
    PictureCache,
    Start,
    bars,
    exit_on_user_error,
    print_json,
)
from training.evaluation.question import QuestionOptions, read_question
from training.report.block import Table
from training.report.terminal import print_table
from training.studies.exploration_cost import METRICS, PLAIN, slate_cost


def slate_cost_command(
    bundle: BundleId,
    data: Data,
    start: Start = None,
    bundles: Bundles = BUNDLES,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits at most.")] = 4_000,
    cache: PictureCache = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of draws and samples.")] = 0,
    as_json: Json = False,
) -> None:
    """Say what exploration and diversity cost in expected purchases, beside what they gain."""
    options = QuestionOptions(bundles, start, max_visits, cache, seed)
    with exit_on_user_error(), bars() as progress:
        loaded, question = read_question(bundle, data, options=options, progress=progress)
        found = slate_cost(Scorer.load(loaded), question, progress=progress)
    if not found:
        typer.echo("nothing can be compared: no visit since then", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json({setting: asdict(cost) for setting, cost in found.items()})
        return
    rows: list[list[str]] = []
    for setting, cost in found.items():
        row = [setting]
        for metric in METRICS:
            mean, change = cost.means.get(metric), cost.changes.get(metric)
            text = "-" if mean is None else f"{mean.value:.4g}"
            if setting != PLAIN and change is not None:
                text += f"  {change.value:+.1%} [{change.low:+.1%}, {change.high:+.1%}]"
            row.append(text)
        rows.append(row)
    print_table(Table("Slates of ten: mean, and change against plain", ["", *METRICS], rows))
