"""Command ``python -m training simulate``: writes a simulated dataset."""

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from training.console import aware, print_json
from training.simulator.creation import Summary, create_world
from training.simulator.parameters import SECOND_US, world
from training.simulator.period import Period


class WorldName(StrEnum):
    """Worlds to choose from."""

    STANDARD = "standard"
    RARE = "rare"
    REGIMES = "regimes"


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write; must be empty or absent.")],
    customers: Annotated[int, typer.Option(min=1, help="Number of customers.")] = 3_000,
    days: Annotated[int, typer.Option(min=1, help="Length of the log.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same files.")] = 1,
    end: Annotated[
        datetime | None, typer.Option(help="Last moment of the log, UTC. Default: this hour.")
    ] = None,
    visits: Annotated[
        float | None,
        typer.Option(min=0.1, help="Mean visits of a customer over the log. Default: 8.6."),
    ] = None,
    world_name: Annotated[
        WorldName, typer.Option("--world", help="How customers are.")
    ] = WorldName.STANDARD,
    photos: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Photographs, a folder per category, as pictures."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Simulate a flash-sale travel site: sales, pictures, events, and what was true."""
    if out.exists() and any(out.iterdir()):
        msg = f"{out} is not empty: choose another folder or remove it"
        raise typer.BadParameter(msg, param_hint="--out")
    moment = aware(end) or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=share)

        summary = create_world(
            out,
            world(world_name.value, visits=visits),
            period=Period.ending(round(moment.timestamp()) * SECOND_US, days),
            n_customers=customers,
            seed=seed,
            photos=photos,
            progress=show,
        )
    if as_json:
        print_json(asdict(summary))
        return
    _print(summary, out)


def _print(summary: Summary, out: Path) -> None:
    oracles = ", ".join(
        f"{name} {value:.4f}" for name, value in summary.expected_purchases_at_10.items()
    )
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.by_type.items())
    typer.echo(
        f"{out}: world {summary.world}, {summary.customers:,} customers, {summary.sales:,} sales, "
        f"{summary.visits:,} visits, {summary.pictures:,} pictures in {summary.seconds:.0f} s\n"
        f"{summary.events:,} events: {kinds}\n"
        f"expected purchases@10 a visit: {oracles}"
    )
