"""Dataset validation: ``python -m training validate``, faults and profile of a dataset."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill
from typing import Annotated, Final

import numpy as np
import typer
from pydantic import JsonValue

from models.dataset import Dataset, DatasetError, Effect, FaultCode, FaultReport, read_dataset
from models.dataset.events_by_part import ReadingByPart
from models.dataset.quarantine import DEFAULT_NAME, write_quarantine
from models.domain.event import MAX_AHEAD_US, from_us, to_us
from training.checks.advice import Advice, advice_for
from training.checks.profile import Profile, profile_of
from training.checks.remarks import remarks_on
from training.configuration import RunConfig
from training.console import CACHE, SCRATCH, bars, print_json
from training.examples.outcomes import if_no_outcome, objective_for
from training.parts.options import copied
from training.report.block import Block, Paragraph, Table
from training.report.terminal import WIDTH, print_blocks

_COSTS: Final = {
    Effect.FILE: "the dataset cannot be used",
    Effect.ROW: "left out",
    Effect.GAP: "something missing, the rest is kept",
    Effect.NOTE: "nothing lost",
}
_PLURALS: Final = {"row": "rows", "table or column": "tables or columns"}
_COSTS_OF_CODES: Final = {
    FaultCode.UNKNOWN_SALE: "kept, no model learns from them",
    FaultCode.MOST_SALES_UNKNOWN: "kept, no model learns from them",
}


def validate(
    data: Annotated[
        Path,
        typer.Option(
            help="Folder or URL of the dataset.",
            parser=copied,
            metavar="DIRECTORY",
        ),
    ],
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
    cache: Annotated[Path, typer.Option(help="Where parts of a large log are.")] = CACHE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Report faults and the profile of a dataset; set rows that cannot be used aside."""
    dataset: Dataset | None = None
    try:
        with bars() as bar:
            dataset = read_dataset(
                data,
                strict=strict,
                decode_pictures=pictures,
                by_part=ReadingByPart(cache / SCRATCH),
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
        if dataset is None:
            stopped = " (strict: stopped at the first file with faults)" if strict else ""
            typer.echo(f"{data}: cannot be used{stopped}")
        else:
            _print_verdict(data, dataset)
            profile = profile_of(dataset)
            _print_profile(profile, next_steps=_next_steps(dataset, profile))
    if dataset is None:
        raise typer.Exit(1)


def _print_verdict(directory: Path, dataset: Dataset) -> None:
    refusal = _refusal(dataset)
    verdict = f"cannot be trained on: {refusal}\n" if refusal else "usable, "
    typer.echo(f"{directory}: {verdict}{_contents(dataset)}")
    for remark in remarks_on(dataset):
        typer.echo(f"note: {remark}")
    times = dataset.events.received_us
    if n_later := _n_later_than_now(dataset):
        typer.echo(
            f"note: {n_later:,} events are later than now, the last at"
            f" {from_us(int(times.max())):%Y-%m-%d %H:%M} UTC; `train` refuses them without"
            " `--until`: correct or remove them"
        )


def _refusal(dataset: Dataset) -> str:
    """Return why `train` refuses the dataset; nothing if it does not."""
    try:
        dataset.require_trainable()
    except DatasetError as exc:
        return "; ".join(fault.reason for fault in exc.faults)
    return if_no_outcome(dataset.events, objective_for(RunConfig(), dataset.events))


def _next_steps(dataset: Dataset, profile: Profile) -> list[Advice]:
    """Return what to send next; of a dataset that `train` refuses, its reason says what to do."""
    return [] if _refusal(dataset) else advice_for(profile)


def _n_later_than_now(dataset: Dataset) -> int:
    return int(np.sum(dataset.events.received_us > to_us(datetime.now(UTC)) + MAX_AHEAD_US))


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
        "train_refuses": (_refusal(dataset) or None) if dataset is not None else None,
        "remarks": [] if dataset is None else [*remarks_on(dataset)],
        "later_than_now": None if dataset is None else _n_later_than_now(dataset),
        "sales": None if dataset is None else len(dataset.sales),
        "events": None if dataset is None else len(dataset.events),
        "customers": _n_customers(dataset),
        "images": None if dataset is None else len(dataset.pictures),
        "fingerprint": None if dataset is None else dataset.fingerprint,
        "profile": None if dataset is None else _profile_as_json(dataset, profile_of(dataset)),
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


def _profile_as_json(dataset: Dataset, profile: Profile) -> dict[str, JsonValue]:
    return {
        "customers": profile.n_customers,
        "events": {**profile.events},
        "first": None if profile.first is None else profile.first.isoformat(),
        "last": None if profile.last is None else profile.last.isoformat(),
        "days": profile.days,
        "rates": {**profile.rates},
        "sales_with": {**profile.of_sales},
        "shares": {**profile.of_events},
        "recommenders": {
            name: {"usable": use.usable, "reason": use.reason}
            for name, use in profile.recommenders.items()
        },
        "objective": profile.objective.value,
        "unknown_sales": {
            "sales": profile.unknown_sales.n_sales,
            "events": profile.unknown_sales.n_events,
            "most_named": [*profile.unknown_sales.most_named],
        },
        "send_next": [
            {"what": advice.what, "why": advice.why, "worth": advice.worth}
            for advice in _next_steps(dataset, profile)
        ],
    }


def _print_profile(profile: Profile, *, next_steps: Sequence[Advice]) -> None:
    events = ", ".join(f"{n:,} {name}" for name, n in profile.events.items() if n)
    facts: list[Block] = [
        Paragraph(f"customers with events: {profile.n_customers:,}"),
        Paragraph(f"events: {events or 'none'}"),
    ]
    if profile.first and profile.last:
        period = f"{profile.first:%Y-%m-%d %H:%M} to {profile.last:%Y-%m-%d %H:%M} UTC"
        facts.append(Paragraph(f"period: {period}, {profile.days:,.1f} days"))
    shares = [(name, f"{rate:.2%}") for name, rate in profile.rates.items()]
    shares += [(f"sales with {name}", f"{share:.0%}") for name, share in profile.of_sales.items()]
    shares += [(name, f"{share:.0%}") for name, share in profile.of_events.items()]
    uses = [
        (name, "yes" if use.usable else "no", use.reason)
        for name, use in profile.recommenders.items()
    ]
    print_blocks(
        [
            *facts,
            Table("Rates and shares", ("share of", ""), shares),
            Table(
                "What recommenders can use", ("recommender", "data", "of what"), uses, of_words=True
            ),
        ]
    )
    for number, advice in enumerate(next_steps, start=1):
        if number == 1:
            typer.echo("What to send next, by what it was worth where it was measured:")
        typer.echo(fill(f"{number}. {advice.what}", WIDTH, subsequent_indent="   "))
        for line in (advice.why, f"worth: {advice.worth}"):
            typer.echo(fill(line, WIDTH, initial_indent="   ", subsequent_indent="   "))


# Their file is optional: None is another thing than an empty one.
def _n_customers(dataset: Dataset | None) -> int | None:
    if dataset is None or dataset.customers is None:
        return None
    return len(dataset.customers)


def _print_faults(faults: FaultReport, *, quarantine: Path | None, shown: int) -> None:
    for code, n in faults.counts().items():
        found = faults.with_codes(code)
        cost = _COSTS_OF_CODES.get(code, _COSTS[code.effect])
        typer.echo(f"{code} ({_extent(found)}, {cost})")
        for fault in found.first(shown):
            typer.echo(f"  {fault}")
        if n > shown:
            typer.echo(f"  and {n - shown:,} more")
    for file, n in faults.n_refused().items():
        kept = "" if quarantine is None else f", kept in {quarantine}"
        typer.echo(f"{file}: {n:,} rows left out{kept}")


def _extent(faults: FaultReport) -> str:
    """Return of how many rows faults are; those of a whole table or column say it themselves."""
    n_whole = faults.table["row"].null_count()
    n_rows = faults.table.select("file", "row").drop_nulls().n_unique()
    counted = [(n_rows, "row"), (n_whole, "table or column")]
    return ", ".join(f"{n:,} {noun if n == 1 else _PLURALS[noun]}" for n, noun in counted if n)


def _contents(dataset: Dataset) -> str:
    n_customers = _n_customers(dataset)
    customers = "" if n_customers is None else f", {n_customers:,} customers"
    return (
        f"{len(dataset.sales):,} sales, {len(dataset.events):,} events{customers},"
        f" {len(dataset.pictures):,} pictures; fingerprint {dataset.fingerprint[:16]}"
    )
