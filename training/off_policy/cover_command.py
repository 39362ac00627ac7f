"""Command ``python -m training covers``: what chosen covers bring, and which picture for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue

from models.covers.cover_choice import CoverPolicy
from models.covers.cover_model import CoverModel
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
from training.off_policy.cover_answers import CoverTarget, cover_rounds, shown_covers
from training.off_policy.cover_rates import CoverRate, cover_rates
from training.off_policy.document import rows_for, valuation_json
from training.off_policy.logged_answers import AnswersError
from training.off_policy.policy_value import Valuation, value_policy
from training.off_policy.rounds import Rounds
from training.off_policy.support import RefusedError
from training.report.block import Block, Heading, Paragraph, Table
from training.report.page import page
from training.report.terminal import print_blocks
from training.statistics.bootstrap import Interval

# Of one position all forms for slates are the same.
_ESTIMATORS: Final = ("dm", "ips", "snips", "dr")


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
    """Value chosen covers against first pictures, and list which picture works for whom."""
    with exit_on_user_error():
        scorer = Scorer.load(read_bundle(resolve_bundle(bundle, bundles)))
        if scorer.covers is None:
            msg = f"bundle {scorer.bundle_id} knows no sale with two pictures: it chooses no covers"
            raise AnswersError(msg)
        events, exposures = read_dataset(data).events, read_exposures(data)
        until_us, window_us = known_until_us(exposures, events), round(window_hours * HOUR_US)
        rows = shown_covers(exposures, events, until_us=until_us, window_us=window_us)
        values = {
            name: _value(
                cover_rounds(
                    rows, exposures, target=one, snapshots=snapshots, topics=scorer.topics
                ),
                seed=seed,
            )
            for name, one in _targets(scorer.covers).items()
        }
    rates = cover_rates(rows)
    blocks = cover_blocks(values, rates)
    if report is not None:
        report.write_text(page("Covers", blocks), encoding="utf-8")
    if as_json:
        print_json({"bundle": scorer.bundle_id, **_json(values, rates)})
    else:
        print_blocks(blocks)


def _targets(model: CoverModel) -> dict[str, CoverTarget]:
    return {
        "covers of the bundle": CoverTarget(model, CoverPolicy()),
        "first pictures": CoverTarget(model, None),
    }


def _json(
    values: Mapping[str, Valuation | RefusedError], rates: Sequence[CoverRate]
) -> dict[str, JsonValue]:
    judged: dict[str, JsonValue] = {
        name: {"refusal": str(one)} if isinstance(one, RefusedError) else valuation_json(one)
        for name, one in values.items()
    }
    return {"values": judged, "pictures": [asdict(one) for one in rates]}


def _value(rounds: Rounds, *, seed: int) -> Valuation | RefusedError:
    try:
        found = value_policy(rounds, seed=seed)
    except RefusedError as exc:
        return exc
    target = {name: found.target[name] for name in _ESTIMATORS}
    difference = {name: found.difference[name] for name in _ESTIMATORS}
    return replace(found, target=target, difference=difference)


def cover_blocks(
    values: Mapping[str, Valuation | RefusedError], rates: Sequence[CoverRate]
) -> list[Block]:
    """Return the report: values by how covers are chosen, and rates of pictures."""
    blocks: list[Block] = [Heading("What covers bring")]
    for name, one in values.items():
        if isinstance(one, RefusedError):
            blocks.append(Paragraph(f"{name}: {one}"))
        else:
            blocks.append(interval_table(f"Clicks a shown sale, {name}", rows_for(one)))
    blocks += [
        Heading("Which picture works for whom"),
        Paragraph(
            "Clicks per time shown, as if a picture had been shown to the whole segment. A best "
            "picture is one whose whole interval is above those of the others; of many tables some "
            "are so by chance."
        ),
    ]
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
    return [*blocks, Table(caption="Pictures", columns=columns, rows=cells)]


def _said(rate: Interval) -> str:
    return f"{rate.value:.2%} [{rate.low:.2%}, {rate.high:.2%}]"
