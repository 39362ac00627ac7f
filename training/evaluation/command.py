"""Command ``python -m training evaluate``: metrics of a bundle on later visits."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from models.scoring.bundle import Bundle, Manifest
from models.scoring.scorer import Scorer
from training.console import (
    BUNDLES,
    CACHE,
    BundleId,
    Bundles,
    Json,
    PictureCache,
    Progress,
    Start,
    bars,
    exit_on_user_error,
    print_json,
    with_folder,
)
from training.evaluation.document import document
from training.evaluation.evaluate import Evaluation, Question, evaluate
from training.evaluation.example_slates import Thumbnails
from training.evaluation.known_sales import count_known_sales, unknown_sales
from training.evaluation.output import as_json as recorded
from training.evaluation.output import print_tables
from training.evaluation.own_scores import OWN_SCORES, OwnScores
from training.evaluation.protocol import Protocol
from training.evaluation.question import QuestionOptions, read_question, read_reference
from training.evaluation.self_made import SelfMade, self_made
from training.evaluation.slate_file import slate_file
from training.examples.outcomes import objective_for, outcome_noun
from training.examples.slates import has_impressions
from training.parts.options import StoredData
from training.report.page import page

Report = Annotated[
    Path | None,
    typer.Option(help="HTML page to write.", dir_okay=False, callback=with_folder),
]


_N_NAMED: Final = 5  # unknown sales that a warning names; chosen


def _parquet_path(path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".parquet":
        msg = f"slates are written as Parquet, and {path.name} does not end in .parquet"
        raise typer.BadParameter(msg)
    return with_folder(path)


def evaluate_command(
    bundle: BundleId,
    data: StoredData,
    against: Annotated[
        str | None, typer.Option(help="A second bundle, compared slate by slate: directory or id.")
    ] = None,
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
    scores: Annotated[
        Path | None,
        typer.Option(help="Your own ranking: exposure_id, sale_id, score.", exists=True),
    ] = None,
    slates_out: Annotated[
        Path | None,
        typer.Option(
            help="Parquet: scores, ranks, outcomes.", dir_okay=False, callback=_parquet_path
        ),
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Judge a bundle beside its recommenders, on lists that were shown and on all open sales."""
    options = QuestionOptions(
        bundles, start, max_visits, cache, seed, new_sales_hours, permute_pictures
    )
    with exit_on_user_error(), bars() as progress:
        own = None if scores is None else OwnScores.read(scores)
        loaded, question = read_question(bundle, data, options=options, progress=progress)
        judged = [_judged(loaded, question, bundles)]
        if against is not None:
            other, seen = read_reference(against, question, options=options, progress=progress)
            judged.append(_judged(other, seen, bundles))
        evaluation = _evaluated(
            judged, own, protocol=protocol, slates_out=slates_out, progress=progress
        )
    for one in judged:
        _print_warnings(one)
    if not evaluation.protocols:
        typer.echo(f"nothing can be judged: {_reason(question, protocol)}", err=True)
    if report:
        blocks = document(evaluation, thumbnail=Thumbnails(question.dataset.images))
        html = page(f"Bundle {loaded.id} on {data.name}", blocks)
        report.write_text(html, encoding="utf-8")
    names = ("sales", "sales_of_the_reference")
    counted = {name: one.sales for name, one in zip(names, judged, strict=False)}
    if own is not None:
        counted[OWN_SCORES] = own.summary()
    _print(evaluation, counted, as_json=as_json)


@dataclass(frozen=True)
class _Judged:
    """A bundle, its question, the sales that it knows, and the answers that it made."""

    manifest: Manifest
    scorer: Scorer
    question: Question
    sales: Mapping[str, int]
    own_log: SelfMade


def _judged(loaded: Bundle, question: Question, bundles: Path) -> _Judged:
    scorer, directory = Scorer.load(loaded), question.dataset.directory
    return _Judged(
        loaded.manifest,
        scorer,
        question,
        count_known_sales(scorer, question),
        self_made(directory, loaded.manifest, bundles=bundles, since_us=question.from_us),
    )


def _evaluated(
    judged: Sequence[_Judged],
    own: OwnScores | None,
    *,
    protocol: Protocol | None,
    slates_out: Path | None,
    progress: Progress,
) -> Evaluation:
    protocols = tuple(Protocol) if protocol is None else (protocol,)
    (scorer, question), *others = [(one.scorer, one.question) for one in judged]
    if own is not None:
        own.require_customers(question.dataset.events)
    with ExitStack() as stack:
        record = None
        if slates_out is not None:
            record = stack.enter_context(slate_file(slates_out)).add
        evaluation = evaluate(
            scorer,
            question,
            progress=progress,
            extras={one: {OWN_SCORES: own.scorer(one)} for one in protocols} if own else {},
            protocols=protocols,
            record=record,
            reference=others[0] if others else None,
        )
        if own is not None:
            own.require_used()
    return evaluation


def _print(
    evaluation: Evaluation, counted: Mapping[str, Mapping[str, int]], *, as_json: bool
) -> None:
    if as_json:
        print_json({**recorded(evaluation), **{name: {**one} for name, one in counted.items()}})
        return
    print_tables(evaluation)
    for name, counts in counted.items():
        found = ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in counts.items())
        typer.echo(f"{name.replace('_', ' ')}: {found}", err=True)


def _print_warnings(judged: _Judged) -> None:
    question, name, own_log = judged.question, judged.scorer.bundle_id, judged.own_log
    if question.from_us < question.learned_until_us:
        typer.echo(
            f"these figures flatter: bundle {name} learned from what was received before "
            f"{judged.manifest.until}; judge from then on, see --from",
            err=True,
        )
    if own_log.n_own:
        typer.echo(
            f"these figures flatter: bundle {name} made {own_log.n_own:,} of "
            f"{own_log.n_answers:,} answers of that time itself, and customers buy of what they "
            f"are shown; compare it with others by an experiment, or by the gate of `nightly`",
            err=True,
        )
    if unknown := unknown_sales(judged.scorer, question):
        more = ", …" if len(unknown) > _N_NAMED else ""
        typer.echo(
            f"bundle {name} does not know {len(unknown):,} sales that opened before the end of its "
            f"data: {', '.join(unknown[:_N_NAMED])}{more}",
            err=True,
        )


def _reason(question: Question, protocol: Protocol | None) -> str:
    events = question.dataset.events
    noun = outcome_noun(objective_for(question.config, events))
    if not has_impressions(events):
        if protocol is Protocol.SHOWN:
            return "no impression is on record, so that no list is known: use `--protocol open`"
        return f"no {noun} follow the visits then within {question.config.outcome_hours:g} hours"
    return f"no {noun} follow what was shown then"
