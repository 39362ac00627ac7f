"""Dataset validation: ``python -m training validate``, which lists all faults of a dataset."""

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue

from models.dataset import Dataset, DatasetError, Effect, FaultReport, read_dataset
from models.dataset.quarantine import DEFAULT_NAME, write_quarantine
from training.console import bars, print_json

_COSTS: Final = {
    Effect.FILE: "the dataset cannot be used",
    Effect.ROW: "rows left out",
    Effect.GAP: "something missing, the rest is kept",
    Effect.NOTE: "nothing lost",
}


def validate(
    data: Annotated[Path, typer.Option(help="Folder of the dataset.", file_okay=False)],
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first file with a fault that costs data.")
    ] = False,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            help=f"Where rows left out go: a .parquet or .csv file, or a folder for {DEFAULT_NAME}."
            " Default: the dataset's folder."
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Decode every picture, to find broken ones.")
    ] = False,
    shown: Annotated[int, typer.Option(min=0, help="Faults shown of each kind.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Report every kind of fault of a dataset; set rows that cannot be used aside."""
    dataset: Dataset | None = None
    try:
        with bars() as bar:
            dataset = read_dataset(
                data,
                strict=strict,
                decode_pictures=pictures,
                progress=lambda step, done, total: bar.reach(step, done=done, total=total),
            )
            faults = dataset.faults
    except DatasetError as exc:
        faults = exc.faults
    # A dataset that cannot be used has rows too that are left out.
    try:
        kept = None if strict else write_quarantine(faults, quarantine or data)
    except (OSError, ValueError) as exc:
        typer.echo(f"error: rows left out cannot be kept: {exc}; see --quarantine", err=True)
        raise typer.Exit(1) from exc
    if as_json:
        print_json(_as_json(dataset, faults, directory=data, quarantine=kept, shown=shown))
    else:
        _print_faults(faults, quarantine=kept, shown=shown)
        stopped = " (strict: stopped at the first file with faults)" if strict else ""
        verdict = f"cannot be used{stopped}" if dataset is None else f"usable, {_contents(dataset)}"
        typer.echo(f"{data}: {verdict}")
    if dataset is None:
        raise typer.Exit(1)


def _as_json(
    dataset: Dataset | None,
    faults: FaultReport,
    *,
    directory: Path,
    quarantine: Path | None,
    shown: int,
) -> dict[str, JsonValue]:
    return {
        "directory": str(directory),
        "usable": dataset is not None,
        "sales": None if dataset is None else len(dataset.sales),
        "events": None if dataset is None else len(dataset.events),
        "customers": _n_customers(dataset),
        "images": None if dataset is None else len(dataset.pictures),
        "fingerprint": None if dataset is None else dataset.fingerprint,
        "counts": {code.value: n for code, n in faults.counts().items()},
        "refused_rows": {**faults.n_refused()},
        "quarantine": None if quarantine is None else str(quarantine),
        "faults": [
            {
                "file": fault.file,
                "row": fault.row,
                "column": fault.column,
                "code": fault.code.value,
                "effect": fault.code.effect.value,
                "reason": fault.reason,
            }
            for code in faults.counts()
            for fault in faults.with_codes(code).first(shown)
        ],
    }


# Their file is optional: None is another thing than an empty one.
def _n_customers(dataset: Dataset | None) -> int | None:
    if dataset is None or dataset.customers is None:
        return None
    return dataset.customers.height


def _print_faults(faults: FaultReport, *, quarantine: Path | None, shown: int) -> None:
    for code, n in faults.counts().items():
        typer.echo(f"{code} ({n:,}, {_COSTS[code.effect]})")
        for fault in faults.with_codes(code).first(shown):
            typer.echo(f"  {fault}")
        if n > shown:
            typer.echo(f"  and {n - shown:,} more")
    for file, n in faults.n_refused().items():
        kept = "" if quarantine is None else f", kept in {quarantine}"
        typer.echo(f"{file}: {n:,} rows left out{kept}")


def _contents(dataset: Dataset) -> str:
    n_customers = _n_customers(dataset)
    customers = "" if n_customers is None else f", {n_customers:,} customers"
    return (
        f"{len(dataset.sales):,} sales, {len(dataset.events):,} events{customers},"
        f" {len(dataset.pictures):,} pictures; fingerprint {dataset.fingerprint[:16]}"
    )
