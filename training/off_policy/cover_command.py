"""Command ``python -m training covers``: what chosen covers bring, and which picture for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue

from models.covers.cover_choice import CoverPolicy
from models.dataset import read_dataset
from models.domain.units import HOUR_US
from models.experiments.exposure import known_until_us, read_exposures
from models.scoring.bundle import read_bundle, resolve_bundle
from models.scoring.scorer import Scorer
from training.console import (
    BUNDLES,
    BundleId,
    Bundles,
    Data,
    Json,
    exit_on_user_error,
    print_json,
)
from training.evaluation.command import Report
from training.evaluation.document import interval_table
from training.off_policy.cover_answers import (
    CoverTarget,
    ShownCovers,
    cover_rounds,
    shown_covers,
)
from training.off_policy.cover_rates import MIN_CLICKS, CoverRate, cover_rates
from training.off_policy.document import rows_for, valuation_json
from training.off_policy.logged_answers import AnswersError, learned_from, listed
from training.off_policy.policy_value import Valuation, value_difference, value_policy
from training.off_policy.rounds import Rounds
from training.off_policy.support import RefusedError
from training.report.block import Block, Heading, Paragraph, Table
from training.report.page import page
from training.report.terminal import print_blocks
from training.statistics.bootstrap import Interval

# Of one position all forms for slates are the same.
_ESTIMATORS: Final = ("dm", "ips", "snips", "dr")
COVERS: Final = "covers of the bundle"
FIRST: Final = "first pictures"


def covers_command(
    data: Data,
    bundle: BundleId,
    snapshots: Annotated[Path, typer.Option(help="The service's snapshots.", exists=True)],
    window_hours: Annotated[
        float, typer.Option(min=0.01, help="For so long a click counts.")
    ] = 24.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    bundles: Bundles = BUNDLES,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Value covers of a bundle against first pictures, and list which picture works for whom."""
    with exit_on_user_error():
        loaded = read_bundle(resolve_bundle(bundle, bundles))
        scorer = Scorer.load(loaded)
        if scorer.covers is None:
            msg = f"bundle {scorer.bundle_id} knows no sale with two pictures: it chooses no covers"
            raise AnswersError(msg)
        events, exposures = read_dataset(data).events, read_exposures(data)
        until_us, window_us = known_until_us(exposures, events), round(window_hours * HOUR_US)
        shown = shown_covers(exposures, events, until_us=until_us, window_us=window_us)
        covers, first = (
            cover_rounds(
                shown.rows,
                exposures,
                target=CoverTarget(scorer.covers, policy),
                snapshots=snapshots,
                topics=scorer.topics,
            )
            for policy in (CoverPolicy(), None)
        )
    answers = shown.rows.unique("recommendation_id")
    found = CoverValues(
        {COVERS: _value(covers, seed=seed), FIRST: _value(first, seed=seed)},
        difference=_difference(covers, first, seed=seed),
        shown=shown,
        warning=learned_from(answers["now_us"], loaded.manifest.until),
    )
    rates = cover_rates(shown.rows)
    blocks = cover_blocks(found, rates)
    if report is not None:
        report.write_text(page("Covers", blocks), encoding="utf-8")
    if as_json:
        print_json({"bundle": scorer.bundle_id, **_json(found, rates)})
    else:
        print_blocks(blocks)


@dataclass(frozen=True, slots=True, eq=False)
class CoverValues:
    """What covers bring, and of what log.

    Attributes:
        values: By how covers are chosen.
        difference: Covers of the bundle minus first pictures, by estimator, or why not.
        shown: The log.
        warning: Why the figures flatter; None where they do not.
    """

    values: dict[str, Valuation | RefusedError]
    difference: dict[str, Interval] | RefusedError
    shown: ShownCovers
    warning: str | None

    @property
    def n_answers(self) -> int:
        """Number of answers of which covers are valued."""
        return self.shown.rows["recommendation_id"].n_unique()


def _value(rounds: Rounds, *, seed: int) -> Valuation | RefusedError:
    try:
        found = value_policy(rounds, seed=seed)
    except RefusedError as exc:
        return exc
    target, difference = _of_one_position(found.target), _of_one_position(found.difference)
    return replace(found, target=target, difference=difference)


def _difference(covers: Rounds, first: Rounds, *, seed: int) -> dict[str, Interval] | RefusedError:
    try:
        return _of_one_position(value_difference(covers, first, seed=seed))
    except RefusedError as exc:
        return exc


def _of_one_position(found: Mapping[str, Interval]) -> dict[str, Interval]:
    return {name: found[name] for name in _ESTIMATORS}


def _json(found: CoverValues, rates: Sequence[CoverRate]) -> dict[str, JsonValue]:
    judged: dict[str, JsonValue] = {
        name: {"refusal": str(one)} if isinstance(one, RefusedError) else valuation_json(one)
        for name, one in found.values.items()
    }
    difference: dict[str, JsonValue] = (
        {"refusal": str(found.difference)}
        if isinstance(found.difference, RefusedError)
        else {name: {**asdict(one)} for name, one in found.difference.items()}
    )
    return {
        "values": judged,
        "difference": difference,
        "pictures": [asdict(one) for one in rates],
        "answers": found.n_answers,
        "covers": found.shown.rows.height,
        "covers_not_seen": found.shown.not_seen,
        "left_out": {**found.shown.left_out},
        "warning": found.warning,
    }


def cover_blocks(found: CoverValues, rates: Sequence[CoverRate]) -> list[Block]:
    """Return the report: values by how covers are chosen, and rates of pictures."""
    shown = found.shown
    blocks: list[Block] = [
        Heading("What covers bring"),
        Paragraph(
            f"{shown.rows.height:,} covers of {found.n_answers:,} answers were seen; "
            f"{shown.not_seen:,} others were chosen, which no impression names. "
            f"Answers left out: {listed(shown.left_out) or 'none'}."
        ),
    ]
    if found.warning is not None:
        blocks.append(Paragraph(found.warning))
    for name, one in found.values.items():
        if isinstance(one, RefusedError):
            blocks.append(Paragraph(f"{name}: {one}"))
        else:
            blocks.append(interval_table(f"Clicks a shown sale, {name}", rows_for(one)))
    if not isinstance(found.difference, RefusedError):
        rows = {name: {f"{COVERS} - {FIRST}": one} for name, one in found.difference.items()}
        blocks.append(interval_table("Clicks a shown sale, difference", rows))
    n_seen = shown.rows.select("sale_id", "number").n_unique()
    return [*blocks, *_picture_blocks(rates, n_seen=n_seen)]


def _picture_blocks(rates: Sequence[CoverRate], *, n_seen: int) -> list[Block]:
    n_listed = len({(one.sale_id, one.number) for one in rates})
    columns = ["sale", "picture", "segment", "shown", "clicks", "rate", "best"]
    cells = [
        [
            one.sale_id,
            str(one.number),
            one.segment,
            f"{one.shown:,}",
            f"{one.clicks:,}",
            _said(one.rate),
            "best" if one.is_best else "",
        ]
        for one in rates
    ]
    return [
        Heading("Which picture works for whom"),
        Paragraph(
            f"{n_listed:,} of {n_seen:,} pictures that were seen have at least {MIN_CLICKS} "
            "clicks. Rates are of times shown, as if a picture had been shown to the whole "
            "segment. A best picture is one whose whole interval is above those of the others; of "
            "many tables some are so by chance."
        ),
        Table(caption="Pictures", columns=columns, rows=cells),
    ]


def _said(rate: Interval) -> str:
    return f"{rate.value:.2%} [{rate.low:.2%}, {rate.high:.2%}]"
