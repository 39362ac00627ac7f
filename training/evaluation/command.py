"""Command ``python -m training evaluate``: metrics of a bundle on later visits."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from models.domain.event import to_us
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
    with_folder,
)
from training.evaluation.document import document
from training.evaluation.evaluate import evaluate
from training.evaluation.example_slates import Thumbnails
from training.evaluation.output import as_json as recorded
from training.evaluation.output import print_tables
from training.evaluation.protocol import Protocol
from training.evaluation.question import QuestionOptions, read_question
from training.report.page import page

Report = Annotated[
    Path | None,
    typer.Option(help="HTML page to write.", dir_okay=False, callback=with_folder),
]


def evaluate_command(
    bundle: BundleId,
    data: Data,
    start: Start = None,
    bundles: Bundles = BUNDLES,
    protocol: Annotated[
        Protocol | None,
        typer.Option(help="Lists that were shown, or all open sales; default: both."),
    ] = None,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits of the protocol open.")] = 4_000,
    cache: PictureCache = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples.")] = 0,
    new_sales_hours: Annotated[
        float | None, typer.Option(min=0.1, help="Rank only sales opened at most so long before.")
    ] = None,
    permute_pictures: Annotated[
        int | None, typer.Option(min=0, help="Seed: give sales each other's pictures.")
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Judge a bundle beside its recommenders, on lists that were shown and on all open sales."""
    options = QuestionOptions(
        bundles, start, max_visits, cache, seed, new_sales_hours, permute_pictures
    )
    with exit_on_user_error(), bars() as progress:
        loaded, question = read_question(bundle, data, options=options, progress=progress)
        protocols = tuple(Protocol) if protocol is None else (protocol,)
        evaluation = evaluate(Scorer.load(loaded), question, progress=progress, protocols=protocols)
    learned_until = loaded.manifest.until
    if question.from_us < to_us(datetime.fromisoformat(learned_until)):
        typer.echo(
            f"these figures flatter: the bundle learned from what was received before "
            f"{learned_until}; judge from then on, see --from",
            err=True,
        )
    if not evaluation.protocols:
        typer.echo("nothing can be judged: no purchase follows what was shown then", err=True)
    if report:
        blocks = document(evaluation, thumbnail=Thumbnails(question.dataset.images))
        html = page(f"Bundle {loaded.id} on {data.name}", blocks)
        report.write_text(html, encoding="utf-8")
    if as_json:
        print_json(recorded(evaluation))
    else:
        print_tables(evaluation)
