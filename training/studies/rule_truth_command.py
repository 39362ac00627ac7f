"""Command ``python -m training rule-truth``: predicted beside true prices of rules."""

from dataclasses import asdict
from typing import Annotated

import typer

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
)
from training.evaluation.question import QuestionOptions, read_question
from training.report.block import Table
from training.report.terminal import print_table
from training.statistics.bootstrap import Interval
from training.studies.rule_truth import rule_truths


def rule_truth_command(
    bundle: BundleId,
    data: Data,
    start: Start = None,
    bundles: Bundles = BUNDLES,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits at most.")] = 4_000,
    cache: PictureCache = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples.")] = 0,
    as_json: Json = False,
) -> None:
    """Say what thirty rules would cost a simulated shop, by the model and by the truth."""
    options = QuestionOptions(bundles, start, max_visits, cache, seed)
    with exit_on_user_error(), bars() as progress:
        loaded, question = read_question(bundle, data, options=options, progress=progress)
        found = rule_truths(Scorer.load(loaded), question, progress=progress)
    if not found:
        typer.echo("nothing can be compared: no visit since then has a truth", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json({"rules": [asdict(one) for one in found]})
        return
    rows = [[one.rule, *map(_said, (one.predicted, one.true, one.ratio))] for one in found]
    caption = "Purchases lost per 1,000 answers, with 95% intervals"
    print_table(Table(caption, ["rule", "predicted", "true", "predicted / true"], rows))


def _said(interval: Interval) -> str:
    return f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]"
