"""The report of ``python -m app load``: counts on stdout, surprises on stderr."""

from collections.abc import Iterator
from dataclasses import asdict

import typer
from pydantic import JsonValue

from app.cli.console import print_summary
from app.cli.load import LoadSummary


def report(summary: LoadSummary, *, as_json: bool) -> None:
    """Print what a load did, and warn of sales that it opened again or does not hold."""
    for warning in _warnings(summary):
        typer.echo(f"warning: {warning}", err=True)
    print_summary(asdict(summary) if as_json else _in_words(summary), as_json=as_json)


def _warnings(summary: LoadSummary) -> Iterator[str]:
    if summary.reopened:
        yield (
            f"{summary.reopened} sales, such as {', '.join(summary.first_reopened)}: these were"
            " sold out, closed or withdrawn in the store and are open by the files; put them again"
            " if the files are older than that"
        )
    if summary.absent > summary.withdrawn:
        yield (
            f"{summary.absent} sales that are open or will open are not in the dataset,"
            f" such as {', '.join(summary.first_absent)}: to withdraw them, load with --full"
        )


def _in_words(summary: LoadSummary) -> dict[str, JsonValue]:
    refused = [f"{n} {reason}" for reason, n in summary.refused.items()]
    words: dict[str, JsonValue] = {
        **asdict(summary),
        "pictures": f"{summary.pictures} new ({summary.known_pictures} known)",
        "refused": ", ".join(refused) or "none",
        "absent": _such_as(summary.absent, summary.first_absent),
        "reopened": _such_as(summary.reopened, summary.first_reopened),
    }
    joined = {"known_pictures", "first_absent", "first_reopened"}
    return {name: value for name, value in words.items() if name not in joined}


def _such_as(n_sales: int, first: tuple[str, ...]) -> str:
    return f"{n_sales}, such as {', '.join(first)}" if first else str(n_sales)
