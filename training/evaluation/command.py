"""Command ``python -m training evaluate``: metrics of a bundle on later visits."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from models.dataset.reading import Dataset, read_dataset
from models.domain.event import to_us
from models.domain.sale import PictureScores
from models.domain.units import HOUR_US
from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import Bundle, BundleError, read_bundle, resolve_bundle
from models.scoring.scorer import Scorer
from training.configuration import RunConfig
from training.console import (
    BUNDLES,
    CACHE,
    Bars,
    BundleId,
    Bundles,
    Data,
    Json,
    PictureCache,
    Start,
    aware,
    bars,
    exit_on_user_error,
    print_json,
    print_left_out,
    with_folder,
)
from training.evaluation.document import document
from training.evaluation.evaluate import Question, evaluate
from training.evaluation.example_slates import Thumbnails
from training.evaluation.output import as_json as recorded
from training.evaluation.output import print_tables
from training.evaluation.protocol import Protocol
from training.report.page import page
from training.scenes.picture_scores import permuted, score_pictures


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
        float | None,
        typer.Option(min=0.1, help="Rank only sales that opened at most so long before."),
    ] = None,
    permute_pictures: Annotated[
        int | None,
        typer.Option(min=0, help="Seed: give every sale the picture of another one."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="HTML page to write: plots, tables, slates with pictures.",
            dir_okay=False,
            callback=with_folder,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge a bundle beside its recommenders, on lists that were shown and on all open sales."""
    with exit_on_user_error(), bars() as progress:
        directory = resolve_bundle(bundle, bundles)
        loaded = read_bundle(directory)
        scorer = Scorer.load(loaded)
        dataset = read_dataset(data)
        dataset.require_sales_and_events()
        print_left_out(dataset.faults.n_refused())
        moment = aware(start)
        pictures = pictures_of(loaded, directory, dataset=dataset, cache=cache, progress=progress)
        question = Question(
            dataset=dataset,
            pictures=pictures if permute_pictures is None else permuted(pictures, permute_pictures),
            from_us=to_us(moment) if moment else 0,
            max_visits=max_visits,
            config=config_of(loaded),
            seed=seed,
            new_within_us=None if new_sales_hours is None else round(new_sales_hours * HOUR_US),
        )
        protocols = tuple(Protocol) if protocol is None else (protocol,)
        evaluation = evaluate(scorer, question, progress=progress, protocols=protocols)
    learned_until_us = to_us(datetime.fromisoformat(loaded.manifest.until))
    if question.from_us < learned_until_us:
        typer.echo(
            f"these figures flatter: the bundle learned from what was received before "
            f"{loaded.manifest.until}; judge from then on, see --from",
            err=True,
        )
    if not evaluation.protocols:
        typer.echo("nothing can be judged: no purchase follows what was shown then", err=True)
    if report:
        title = f"Bundle {loaded.id} on {data.name}"
        blocks = document(evaluation, thumbnail=Thumbnails(dataset.images))
        report.write_text(page(title, blocks), encoding="utf-8")
    if as_json:
        print_json(recorded(evaluation))
    else:
        print_tables(evaluation)


def config_of(bundle: Bundle) -> RunConfig:
    """Return the configuration that a bundle was trained with.

    Raises:
        BundleError: If it is one of other software.
    """
    try:
        return RunConfig.model_validate(bundle.manifest.config)
    except ValidationError as exc:
        msg = f"bundle {bundle.id}: configured for other software, train it again: {exc}"
        raise BundleError(msg) from exc


def pictures_of(
    bundle: Bundle, directory: Path, *, dataset: Dataset, cache: Path, progress: Bars
) -> dict[str, PictureScores]:
    """Return what a dataset's pictures show by the scene model of a bundle, if it has one."""
    if not bundle.manifest.scene_model:
        return {}
    progress.stage("pictures", len(dataset.pictures))
    labeller = SceneLabeller.open(directory)
    return score_pictures(dataset.images, labeller, cache=cache, tick=progress.tick)
