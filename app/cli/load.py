"""``python -m app load`` and ``load-profiles``: fill the store from files, and print the result."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    print_summary,
    progress_bars,
    read_settings,
    with_stores,
)
from app.cli.fill_store import LoadSummary, fill_from_dataset, fill_profiles
from models.catalogue.event_counts import RETENTION_HOURS
from models.dataset import read_dataset
from models.dataset.events_by_part import ReadingByPart
from models.dataset.profile_file import newest_profiles
from models.domain.units import DAY_US, HOUR_US
from models.scoring.bundle import BundleError, resolve_bundle

SCRATCH: Final = "scratch"
"""Folder of the columns of a large log, below that of the state."""

OLD_DAYS: Final = RETENTION_HOURS * HOUR_US / DAY_US
"""Days after which no event counts for its sale."""


def load_command(
    *,
    data: Annotated[Path, typer.Option(help="Directory of a dataset.", file_okay=False)],
    bundle: Annotated[
        str | None, typer.Option(help="Labels pictures it does not know; unset: the newest.")
    ] = None,
    redis_url: RedisUrlOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at faulty rows.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="It holds every sale: withdraw all others.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --full: also if more than half would go.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill the store with sales, pictures, the latest windows and counts. Safe to repeat."""
    settings = read_settings(bundle=bundle, redis_url=redis_url)
    with exit_on_user_error(), progress_bars() as bars:
        by_part = ReadingByPart(settings.state_dir / SCRATCH)
        dataset = read_dataset(data, strict=strict, by_part=by_part)
        for remark in dataset.faults.remarks():
            typer.echo(f"note: {remark}", err=True)
        try:
            labeller = resolve_bundle(settings.bundle, settings.bundles)
        except BundleError:
            if settings.bundle is not None:
                raise
            # The first load of a shop comes before its first training.
            typer.echo("warning: no bundle yet, so pictures are left out: load again", err=True)
            labeller = None
        summary = with_stores(
            settings,
            lambda stores: fill_from_dataset(
                dataset,
                stores,
                bundle=labeller,
                state_dir=settings.state_dir,
                progress=bars,
                is_full=full,
                is_confirmed=yes,
            ),
        )
    report(summary, as_json=as_json)


def load_profiles_command(
    *,
    profiles: Annotated[
        Path, typer.Option(help="Where nights publish them; the newest one is taken.")
    ],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the customers' profiles in the store by those of last night. Safe to repeat."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), progress_bars() as bars:
        path = newest_profiles(profiles)
        n_customers = with_stores(
            settings, lambda stores: fill_profiles(path, stores, progress=bars)
        )
    print_summary({"profiles": str(path), "customers": n_customers}, as_json=as_json)


def report(summary: LoadSummary, *, as_json: bool) -> None:
    """Print the result of a load, with its warnings."""
    for warning in _warnings(summary):
        typer.echo(f"warning: {warning}", err=True)
    fields: dict[str, JsonValue] = asdict(summary)
    if not as_json:
        refused = [f"{n} {reason}" for reason, n in summary.refused.items()]
        fields |= {
            "pictures": f"{summary.pictures} new ({summary.known_pictures} known)",
            "refused": ", ".join(refused) or "none",
            "absent": _such_as(summary.absent, summary.first_absent),
            "reopened": _such_as(summary.reopened, summary.first_reopened),
            "kept_closed": _such_as(summary.kept_closed, summary.first_kept_closed),
            "kept_deleted": _such_as(summary.kept_deleted, summary.first_kept_deleted),
        }
        for joined in ("known_pictures", *(name for name in fields if name.startswith("first_"))):
            del fields[joined]
    print_summary(fields, as_json=as_json)


def _such_as(n_sales: int, first: tuple[str, ...]) -> str:
    return f"{n_sales}, such as {', '.join(first)}" if first else str(n_sales)


def _warnings(summary: LoadSummary) -> Iterator[str]:
    """Yield what is old, and which sales were lost, left closed, opened again or not loaded."""
    if summary.newest_event is not None and (summary.days_ago or 0.0) > OLD_DAYS:
        yield (
            f"the newest event is {summary.days_ago:,.1f} days old, so no sale counts as"
            " visited or bought, and answers are `stale_counts`: load newer events, or replay"
            f" that time with `serve --as-of {summary.newest_event[:19]}`"
        )
    if summary.unknown_loss:
        yield (
            "the store had lost sales whose last states this machine does not know: what sold out"
            " after the files were written is open again. Put these sales; the next time, load with"
            " the VITRINE_STATE_DIR of a machine that serves"
        )
    if summary.kept_closed:
        yield (
            f"{summary.kept_closed} sales, such as {', '.join(summary.first_kept_closed)}: these"
            " were sold out, closed or withdrawn before the store lost them, and stay so though"
            " they are open by the files; if the files are newer than that, load again"
        )
    if summary.kept_deleted:
        yield (
            f"{summary.kept_deleted} sales, such as {', '.join(summary.first_kept_deleted)}: these"
            " were deleted before the store lost that, and stay deleted; put those that are to be"
            " sold, or, if the files are newer than that, load again"
        )
    if summary.reopened:
        yield (
            f"{summary.reopened} sales, such as {', '.join(summary.first_reopened)}: these were"
            " sold out, closed, withdrawn or deleted in the store and are open by the files; put"
            " them again, or delete them, if the files are older than that"
        )
    if summary.refused_merges:
        yield (
            f"{summary.refused_merges} merges are refused: the store knows these guests as those of"
            " others, or as customers with guests: remove them from the dataset, or erase them"
        )
    if summary.absent > summary.withdrawn:
        yield (
            f"{summary.absent} sales that are open or will open are not in the dataset, such as"
            f" {', '.join(summary.first_absent)}: to withdraw them, load with --full"
        )
