"""Command ``python -m training batch-score``: best sales, or customers of a sale."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue, TypeAdapter

from models.dataset.event_split import number_of_parts
from models.dataset.list_folder import SUMMARY_FILE
from models.dataset.reading import read_reference
from models.domain.event import to_us
from models.experiments.plan.plan_file import read_plan
from models.rules.rule import HIDE_DISLIKED_DAYS
from models.scoring.bundle import read_bundle, resolve_bundle
from models.scoring.scorer import Scorer
from models.slate.slate_policy import SlatePolicy
from training.console import (
    BUNDLES,
    CACHE,
    BundleId,
    Bundles,
    Json,
    PictureCache,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_left_out,
    with_folder,
)
from training.lists.list_run import ListRun
from training.lists.make_lists import alone, is_complete, make_lists, unfinished_at_us
from training.lists.results import write_csv
from training.parts.options import Parts, Scheduler, StoredData
from training.parts.workers import workers

_SUMMARY: Final = TypeAdapter(dict[str, JsonValue])

MAX_EXPLAINED: Final = 20
"""As in the service: a reason takes about two milliseconds."""


def batch_score_command(
    data: StoredData,
    bundle: BundleId,
    out: Annotated[Path, typer.Option(help="Directory of the lists.", file_okay=False)],
    top: Annotated[
        int, typer.Option(min=1, max=65_535, help="Sales, or customers, at most.")
    ] = 100,
    at: Annotated[
        datetime | None, typer.Option(help="Moment of the lists, UTC; default: now.")
    ] = None,
    sale: Annotated[
        str | None, typer.Option(help="Look for the customers of this sale instead.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Plan whose default policy makes the lists.", exists=True)
    ] = None,
    hide_disliked_days: Annotated[
        int,
        typer.Option(min=0, max=400, help="Days that lists lack what a customer disliked."),
    ] = HIDE_DISLIKED_DAYS,
    explained: Annotated[
        int, typer.Option(min=0, max=MAX_EXPLAINED, help="First sales of a list with a reason.")
    ] = 0,
    csv: Annotated[
        Path | None,
        typer.Option(help="CSV for e-mail tools.", dir_okay=False, callback=with_folder),
    ] = None,
    link: Annotated[
        str, typer.Option(help="Address of a sale in that CSV, with {sale_id}.")
    ] = "{sale_id}",
    scheduler: Scheduler = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of these; default: one a processor.")
    ] = None,
    parts: Parts = None,
    bundles: Bundles = BUNDLES,
    cache: PictureCache = CACHE,
    as_json: Json = False,
) -> None:
    """Score all customers: the best sales of each, or who is likeliest to buy one sale."""
    with exit_on_user_error(), alone(out), bars() as progress:
        reference = read_reference(data)
        directory = resolve_bundle(bundle, bundles)
        scorer = Scorer.load(read_bundle(directory))
        run = ListRun(
            data=data.absolute(),
            fingerprint=reference.fingerprint,
            bundle=directory.absolute(),
            bundle_id=scorer.bundle_id,
            out=out.absolute(),
            at_us=_moment(aware(at), out),
            top=top,
            policy=_policy(plan),
            hide_disliked_days=hide_disliked_days,
            n_explained=explained,
            n_parts=parts or number_of_parts(data),
            sale_id=sale,
        )
        if not is_complete(run):
            with workers(scheduler, n_processes=processes or os.cpu_count() or 1) as started:
                make_lists(
                    run, reference, scorer=scorer, workers=started, cache=cache, progress=progress
                )
        if csv is not None:
            write_csv(run, reference.sales, path=csv, link=link)
    summary = _SUMMARY.validate_json((out / SUMMARY_FILE).read_bytes())
    print_left_out(reference.faults.n_refused())
    if n_refused := summary["events_left_out"]:
        print_left_out({"events": int(str(n_refused))})
    if as_json:
        print_json(summary)
    else:
        typer.echo(_sentence(out, summary))


def _moment(at: datetime | None, out: Path) -> int:
    """Return the moment of a run; that of an unfinished one where none is given."""
    if at is not None:
        return to_us(at)
    unfinished = unfinished_at_us(out)
    return to_us(datetime.now(UTC)) if unfinished is None else unfinished


def _policy(plan: Path | None) -> SlatePolicy:
    """Return the default policy of a plan, which draws nothing: a list is no exposure."""
    policy = SlatePolicy() if plan is None else read_plan(plan).default
    return policy.model_copy(update={"bundle": None, "exploration": None})


def _sentence(out: Path, summary: Mapping[str, JsonValue]) -> str:
    if summary["sale"] is not None:
        return (
            f"{out}: {summary['customers']:,} customers, {summary['expected_purchases']:.1f}"
            f" expected purchases of {summary['sale']}; all {summary['all_customers']:,} who may"
            f" see it: {summary['all_expected_purchases']:.1f}"
        )
    return (
        f"{out}: {summary['customers']:,} customers, {summary['rows']:,} rows,"
        f" {summary['strangers']} lists for strangers"
    )
