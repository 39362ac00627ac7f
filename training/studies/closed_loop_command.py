"""Command ``python -m training simulate-loop``: nights of a shop that learns from its own lists."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from shutil import rmtree
from typing import Annotated

import typer
from pydantic import JsonValue

from models.domain.errors import UserError
from training.console import (
    Json,
    Threads,
    aware,
    bars,
    exit_on_user_error,
    print_json,
)
from training.report.block import Table
from training.report.terminal import print_table
from training.simulator.command import WorldName
from training.simulator.parameters import world
from training.studies.closed_loop import Loop, run_loop
from training.studies.loop_figures import (
    Day,
    LoopFigures,
    figures_of,
    missed_bounds,
    weeks_of,
)


class Examination(StrEnum):
    """How the looks of simulated customers fade with the position."""

    ROOT = "root"
    STEEP = "steep"
    FLAT = "flat"
    SCREENS = "screens"


def simulate_loop_command(
    out: Annotated[Path, typer.Option(help="Folder to write; must be empty or absent.")],
    world_name: Annotated[
        WorldName, typer.Option("--world", help="How customers are.")
    ] = WorldName.RARE,
    examination: Annotated[
        Examination, typer.Option(help="How looks fade with the position.")
    ] = Examination.ROOT,
    similar_attention: Annotated[
        float,
        typer.Option(min=0.01, max=1.0, help="Looks left by each sale of the same scene above."),
    ] = 1.0,
    drift_sd: Annotated[
        float,
        typer.Option(min=0.0, help="How much tastes for scenes change in a month, in logits."),
    ] = 0.0,
    buy_intercept: Annotated[
        float | None,
        typer.Option(help="Logit of P(purchase | click); -6.75: 0.2% of visits buy."),
    ] = None,
    customers: Annotated[int, typer.Option(min=1, help="Number of customers.")] = 1_500,
    days: Annotated[int, typer.Option(min=2, help="Days by popularity before the first.")] = 21,
    nights: Annotated[int, typer.Option(min=1, help="Nights, and days after them.")] = 14,
    train_every: Annotated[
        int, typer.Option(min=1, help="Nights to the next training; others refit recommenders.")
    ] = 1,
    pictures_from: Annotated[
        int, typer.Option(min=1, help="First night whose data have pictures.")
    ] = 1,
    explored_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of lists that are drawn.")
    ] = 0.02,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the world and of trainings.")] = 1,
    end: Annotated[datetime | None, typer.Option(help="End, a midnight (UTC).")] = None,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Simulate a shop that trains every night on lists that its bundles ordered."""
    if out.exists() and any(out.iterdir()):
        msg = f"{out} is not empty: choose another folder or remove it"
        raise typer.BadParameter(msg, param_hint="--out")
    moment = aware(end) or datetime.now(UTC)
    parameters = world(world_name.value)
    parameters = replace(
        parameters,
        buy_intercept=parameters.buy_intercept if buy_intercept is None else buy_intercept,
        examination=examination.value,
        similar_attention=similar_attention,
        drift_sd=drift_sd,
    )
    # The world's visits are those of 30 days.
    parameters = replace(parameters, visits=parameters.visits * (days + nights) / 30)
    loop = Loop(
        parameters=parameters,
        n_customers=customers,
        days=days,
        nights=nights,
        train_every=train_every,
        pictures_from=pictures_from,
        explored_share=explored_share,
        end=moment.replace(hour=0, minute=0, second=0, microsecond=0),
        seed=seed,
        threads=threads,
    )
    with exit_on_user_error(), bars() as progress:
        done: list[Day] = []
        try:
            done.extend(run_loop(loop, out, progress=progress))
        except UserError:
            # Refused before its first night: the same folder can be named again.
            if not done:
                rmtree(out, ignore_errors=True)
            raise
    _print(done, missed_bounds(done, pictures_from=pictures_from), as_json=as_json)


def _print(done: list[Day], missed: list[str], *, as_json: bool) -> None:
    nights, weeks = [figures_of([day]) for day in done], weeks_of(done)
    verdicts = [day.verdict for day in done]
    if as_json:
        judged = zip(verdicts, nights, strict=True)
        print_json(
            {
                "nights": [{"verdict": verdict, **asdict(one)} for verdict, one in judged],
                "weeks": [asdict(week) for week in weeks],
                "all": [asdict(figures_of(done))],
                "missed": list[JsonValue](missed),
            }
        )
        return
    head = ["", "verdict", *LoopFigures.__slots__]
    table = [
        [name, verdict, *(f"{value:.4g}" for value in asdict(one).values())]
        for name, verdict, one in [
            *((f"night {n}", *one) for n, one in enumerate(zip(verdicts, nights, strict=True), 1)),
            *((f"week {number}", "", one) for number, one in enumerate(weeks, start=1)),
            ("all", "", figures_of(done)),
        ]
    ]
    print_table(Table("Lists of own bundles, beside a bundle of a log by popularity", head, table))
    for sentence in missed:
        typer.echo(f"missed: {sentence}")
