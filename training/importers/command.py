"""Commands ``python -m training import``: files of others to datasets of the contract."""

from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue

from models.dataset.faults import Effect, FaultReport
from models.dataset.quarantine import write_quarantine
from training.console import Json, bars, exit_on_user_error, print_json
from training.importers.hints import hints_for
from training.importers.imported import Imported
from training.importers.mapping import read_mapping, shipped_mappings, shipped_text
from training.importers.table import Files, import_table
from training.importers.trivago import import_trivago

_SHOWN: Final = 3
"""Rows that are shown of a kind; chosen: three causes under one code look alike in one row."""

app = typer.Typer(
    name="import", help="Bring other data into the dataset contract.", no_args_is_help=True
)

NOT_IMPORTED: Final = "not_imported.parquet"
"""File of rows that could not be imported; ``validate`` keeps its own beside it."""


@app.command()
def table(
    events: Annotated[
        list[Path],
        typer.Option(help="File or folder of events; again for each section of the mapping."),
    ],
    mapping: Annotated[
        str, typer.Option("--map", help="Mapping: a YAML file, or the name of a shipped one.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset.", file_okay=False)],
    sales: Annotated[
        Path | None, typer.Option(help="File or folder of sales; without it the events name them.")
    ] = None,
    customers: Annotated[Path | None, typer.Option(help="File or folder of customers.")] = None,
    rates: Annotated[
        Path | None, typer.Option(help="File of rates of exchange, of several currencies.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import your own CSV, Parquet or JSON lines by a mapping of columns and values."""
    with exit_on_user_error(), bars() as bar:
        rules = read_mapping(mapping)
        imported = import_table(
            Files(events, sales=sales, customers=customers, rates=rates),
            rules,
            out=out,
            progress=lambda step, done, total: bar.reach(step, done=done, total=total),
        )
        quarantine = _set_aside(imported.faults, out)
    counts = imported.faults.having(Effect.ROW).counts()
    hints = hints_for(imported.faults, rules, n_rows=imported.n_rows)
    if as_json:
        report: dict[str, JsonValue] = {
            "out": str(out),
            "rows": {**imported.n_rows},
            "sales": imported.n_sales,
            "customers": imported.n_customers,
            "events": {**imported.n_events},
            "left_out": {**imported.left_out},
            "unused_columns": {file: [*names] for file, names in imported.unused.items()},
            "remarks": [*imported.remarks],
            "faults": {code.value: n for code, n in counts.items()},
            "hints": [*hints],
            "quarantine": None if quarantine is None else str(quarantine),
        }
        print_json(report)
        return
    _print_table(imported, out)
    for hint in hints:
        typer.echo(f"hint: {hint}")
    if quarantine is not None:
        typer.echo(f"  all of them are kept in {quarantine}")
    typer.echo(f"next: python -m training validate --data {out}")


def _print_table(imported: Imported, out: Path) -> None:
    n_rows = ", ".join(f"{n:,} rows of {file}" for file, n in imported.n_rows.items())
    typer.echo(f"{out}: {imported.n_sales:,} sales from {n_rows}")
    _print_counts("events", imported.n_events)
    if imported.n_customers is not None:
        typer.echo(f"customers: {imported.n_customers:,}")
    _print_counts("rows left out, as the mapping says", imported.left_out)
    for file, names in imported.unused.items():
        if names:
            typer.echo(f"columns of {file} not in the mapping: {', '.join(names)}")
    for remark in imported.remarks:
        typer.echo(f"note: {remark}")
    refused = imported.faults.having(Effect.ROW)
    counts = refused.counts()
    _print_counts("rows that could not be used", {code.value: n for code, n in counts.items()})
    for one in refused.by_kind():
        for fault in one.first(_SHOWN):
            typer.echo(f"  {fault}")
        if len(one) > _SHOWN:
            typer.echo(f"  and {len(one) - _SHOWN:,} more of this kind")


def _print_counts(title: str, figures: AnyMapping[str, int]) -> None:
    listed = ", ".join(f"{name} {n:,}" for name, n in figures.items())
    typer.echo(f"{title}: {listed or 'none'}")


def _set_aside(faults: FaultReport, out: Path) -> Path | None:
    path = out / NOT_IMPORTED
    if len(faults.having(Effect.ROW)):
        return write_quarantine(faults, path)
    # A file of an earlier run would be taken for this run's.
    path.unlink(missing_ok=True)
    return None


@app.command("mapping")
def print_mapping(
    name: Annotated[str | None, typer.Argument(help="Name of a shipped mapping.")] = None,
) -> None:
    """Print a shipped mapping, to be changed; without a name, list them."""
    if name is None:
        for each in shipped_mappings():
            typer.echo(f"{each:<20} {read_mapping(each).about}")
        return
    with exit_on_user_error():
        typer.echo(shipped_text(name), nl=False)


@app.command()
def trivago(
    source: Annotated[
        Path, typer.Option(help="Sessions, .parquet or .csv.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset.", file_okay=False)],
    as_json: Json = False,
) -> None:
    """Import the sessions of the trivago RecSys Challenge 2019."""
    with exit_on_user_error(), bars() as bar:
        imported = import_trivago(
            source, out, progress=lambda step, done, total: bar.reach(step, done=done, total=total)
        )
    quarantine = _set_aside(imported.faults, out)
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
    _print_counts("events", imported.n_events)
    _print_counts("rows of actions without an event type, not imported", imported.not_imported)
    _print_counts(f"rows with faults, kept in {quarantine}", counts)
