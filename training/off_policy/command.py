"""Commands ``python -m training off-policy`` and ``open-bandit``: off-policy estimates."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from models.dataset import read_dataset
from models.domain.units import HOUR_US
from models.experiments.exposure import known_until_us, read_exposures
from models.scoring.bundle import read_bundle
from models.scoring.scorer import META, Scorer
from models.slate.slate_policy import PlackettLuce, SlatePolicy
from training.console import Data, Json, Progress, bars, exit_on_user_error, print_json
from training.evaluation.command import Report
from training.evaluation.output import interval_table
from training.importers.open_bandit import CAMPAIGNS
from training.off_policy.bandit import cross_policies
from training.off_policy.document import (
    VALUE,
    crossing_json,
    document,
    rows_for,
    valuation_json,
)
from training.off_policy.logged_answers import (
    LoggedAnswers,
    Setting,
    judged,
    rounds_of,
)
from training.off_policy.policy_value import Valuation, value_policy
from training.off_policy.reward import Reward
from training.off_policy.support import MIN_EFFECTIVE, RefusedError
from training.off_policy.target import TargetPolicy
from training.report.page import page
from training.report.terminal import print_table


@dataclass(frozen=True)
class _Limits:
    positions: int | None
    clip: float | None
    min_effective: float


def off_policy_command(
    data: Data,
    bundle: Annotated[Path, typer.Option(help="Directory of the target bundle.", exists=True)],
    snapshots: Annotated[Path, typer.Option(help="The service's snapshots.", exists=True)],
    order_by: Annotated[str, typer.Option(help="Policy of the bundle.")] = META,
    temperature: Annotated[
        float | None, typer.Option(min=0.01, max=10, help="Of Plackett-Luce slates; else no chance")
    ] = None,
    diversity: Annotated[float, typer.Option(min=0, max=0.99, help="As in policies.")] = 0.0,
    reward: Annotated[Reward, typer.Option(help="What slates bring.")] = Reward.PURCHASES,
    window_hours: Annotated[float, typer.Option(min=0.01, help="For so long it counts.")] = 24.0,
    variant: Annotated[str | None, typer.Option(help="Only answers of this variant.")] = None,
    positions: Annotated[int | None, typer.Option(min=1, help="Judge the first ones.")] = None,
    clip: Annotated[
        float | None, typer.Option(min=1, help="Cut weights here; default: root of the answers.")
    ] = None,
    min_effective: Annotated[
        float, typer.Option(min=2, help="Refuse a log that is worth fewer answers.")
    ] = MIN_EFFECTIVE,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and resamples.")] = 0,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Estimate from exported answers what another bundle or policy would have brought."""
    with exit_on_user_error(), bars() as progress:
        scorer = Scorer.load(read_bundle(bundle))
        explores = None if temperature is None else PlackettLuce(temperature=temperature)
        policy = SlatePolicy(order_by=order_by, diversity=diversity, exploration=explores)
        target = TargetPolicy(scorer, policy, by_price=reward is Reward.REVENUE)
        setting = Setting(target, snapshots, reward, round(window_hours * HOUR_US), seed)
        limits = _Limits(positions, clip, min_effective)
        with _refusals_reported(scorer.bundle_id, as_json=as_json):
            chosen, valuation = _value(data, setting, limits, variant=variant, progress=progress)
        if report is not None:
            asked = {
                "target": f"{scorer.bundle_id}: {policy.model_dump_json(exclude_defaults=True)}",
                "log": f"{data}, {'every variant' if variant is None else f'only {variant}'}",
                "reward": f"{reward.value} within {window_hours:g} hours",
            }
            blocks = document(valuation, question=asked, left_out=chosen.left_out)
            report.write_text(page("Off-policy estimate", blocks), encoding="utf-8")
    if as_json:
        found = valuation_json(valuation)
        print_json({"bundle": scorer.bundle_id, **found, "left_out": {**chosen.left_out}})
    else:
        print_table(interval_table(f"{reward.value} a slate", rows_for(valuation)))
        typer.echo(f"left out: {chosen.left_out}", err=True)


@contextmanager
def _refusals_reported(bundle_id: str, *, as_json: bool) -> Generator[None]:
    """Say in JSON too that nothing is estimated: to a promotion that is an answer."""
    try:
        yield
    except RefusedError as exc:
        if as_json:
            print_json({"bundle": bundle_id, "refusal": str(exc)})
        raise


def _value(
    data: Path, setting: Setting, limits: _Limits, *, variant: str | None, progress: Progress
) -> tuple[LoggedAnswers, Valuation]:
    dataset = read_dataset(data)
    if setting.reward is Reward.REVENUE:
        dataset.require_trainable()
    exposures = read_exposures(data)
    if variant is not None:
        # An answer has an assignment a layer; one of them is enough.
        names = pl.element().struct.field("variant")
        exposures = exposures.filter(pl.col("assignments").list.eval(names).list.contains(variant))
    until_us = known_until_us(exposures, dataset.events)
    chosen = judged(exposures, until_us=until_us, window_us=setting.window_us)
    progress.stage("answers", chosen.answers.height)
    rounds = rounds_of(chosen.answers, dataset.events, setting=setting, progress=progress)
    if limits.positions is not None:
        rounds = rounds.top(min(limits.positions, rounds.rewards.shape[1]))
    return chosen, value_policy(
        rounds, seed=setting.seed, clip=limits.clip, min_effective=limits.min_effective
    )


def open_bandit_command(
    data: Data,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Value each policy of the Open Bandit Dataset from the log of the other."""
    with exit_on_user_error():
        crossings = cross_policies(data, CAMPAIGNS, seed=seed)
    if as_json:
        print_json({"crossings": [crossing_json(one) for one in crossings]})
        return
    for one in crossings:
        title = f"{one.campaign}: clicks of {one.target}, from the log of {one.logging}"
        if one.valuation is None:
            typer.echo(f"{title}: {one.refusal}")
            continue
        rows = {"its own log": {VALUE: one.own}} | rows_for(one.valuation)
        print_table(interval_table(title, rows))
