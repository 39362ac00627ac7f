"""Commands ``python -m training import``: convert public data sets to the dataset contract."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from models.dataset.quarantine import write_quarantine
from training.console import bars, exit_on_user_error, print_json
from training.importers.trivago import import_trivago

app = typer.Typer(name="import", help="Bring public data into the contract.", no_args_is_help=True)


@app.callback()
def choose() -> None:
    """Bring public data into the dataset contract."""


@app.command()
def trivago(
    source: Annotated[
        Path, typer.Option(help="Sessions, .parquet or .csv.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset.", file_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import the sessions of the trivago RecSys Challenge 2019."""
    with exit_on_user_error(), bars() as bar:
        imported = import_trivago(
            source, out, progress=lambda step, done, total: bar.reach(step, done=done, total=total)
        )
    quarantine = write_quarantine(imported.faults, out)
    counts = {code.value: n for code, n in imported.faults.counts().items()}
    if as_json:
        report: dict[str, JsonValue] = {
            "out": str(out),
            "rows": imported.n_rows,
            "sales": imported.n_sales,
            "events": {**imported.n_events},
            "not_imported": {**imported.not_imported},
            "faults": {**counts},
            "quarantine": None if quarantine is None else str(quarantine),
        }
        print_json(report)
        return
    typer.echo(f"{out}: {imported.n_sales:,} sales from {imported.n_rows:,} rows")
    for title, figures in (
        ("events", imported.n_events),
        ("rows of actions without an event type, not imported", imported.not_imported),
        (f"rows with faults, kept in {quarantine}", counts),
    ):
        listed = ", ".join(f"{name} {n:,}" for name, n in figures.items())
        typer.echo(f"{title}: {listed or 'none'}")
