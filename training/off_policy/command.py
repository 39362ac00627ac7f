"""Commands ``python -m training off-policy`` and ``open-bandit``: off-policy estimates."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

import polars as pl
import typer
from pydantic import JsonValue

from models.dataset import EventTable, read_dataset
from models.domain.units import HOUR_US
from models.experiments.exposure import known_until_us, read_exposures
from models.scoring.bundle import read_bundle, resolve_bundle
from models.scoring.scorer import META, Scorer
from models.slate.slate_policy import PlackettLuce, SlatePolicy
from training.console import (
    BUNDLES,
    BundleId,
    Bundles,
    Data,
    Json,
    Progress,
    bars,
    exit_on_user_error,
    print_json,
)
from training.evaluation.command import Report
from training.evaluation.output import interval_table
from training.importers.open_bandit import CAMPAIGNS
from training.off_policy.bandit import cross_policies
from training.off_policy.document import (
    VALUE,
    crossing_json,
    document,
    places_json,
    rows_for,
    titled,
)
from training.off_policy.logged_answers import (
    AnswersError,
    LoggedAnswers,
    Setting,
    at_own_temperature,
    judged,
    learned_from,
    rounds_of,
)
from training.off_policy.policy_value import PlaceValues, Valuation, value_places
from training.off_policy.reward import Reward
from training.off_policy.support import RefusedError
from training.off_policy.target import TargetPolicy
from training.report.page import page
from training.report.terminal import print_table
from training.statistics.effective_size import MIN_REWARDED


@dataclass(frozen=True)
class _Limits:
    positions: int | None
    clip: float | None
    min_rewarded: float


def off_policy_command(
    data: Data,
    bundle: BundleId,
    snapshots: Annotated[Path, typer.Option(help="The service's snapshots.", exists=True)],
    order_by: Annotated[str, typer.Option(help="Policy of the bundle.")] = META,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=10, help="Of Plackett-Luce slates; default: the log's; 0: none."),
    ] = None,
    drawn_share: Annotated[
        float,
        typer.Option(min=1e-4, max=1, help="Share of slates that it draws, as a service would."),
    ] = 1.0,
    diversity: Annotated[float, typer.Option(min=0, max=0.99, help="As in policies.")] = 0.0,
    reward: Annotated[Reward, typer.Option(help="What slates bring.")] = Reward.PURCHASES,
    window_hours: Annotated[float, typer.Option(min=0.01, help="For so long it counts.")] = 24.0,
    variant: Annotated[
        str | None, typer.Option(help="Only answers of this one: EXPERIMENT:VARIANT.")
    ] = None,
    positions: Annotated[int | None, typer.Option(min=1, help="Judge the first ones.")] = None,
    clip: Annotated[
        float | None, typer.Option(min=1, help="Cut weights here; default: root of the answers.")
    ] = None,
    min_rewarded: Annotated[
        float, typer.Option(min=2, help="Refuse a log that is worth fewer rewarded answers.")
    ] = MIN_REWARDED,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and resamples.")] = 0,
    bundles: Bundles = BUNDLES,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Estimate from exported answers what another bundle or policy would have brought."""
    if temperature == 0 and drawn_share < 1:
        msg = (
            "no slate is drawn at a temperature of 0: leave out one of --temperature, --drawn-share"
        )
        raise typer.BadParameter(msg)
    with exit_on_user_error(), bars() as progress:
        loaded = read_bundle(resolve_bundle(bundle, bundles))
        scorer = Scorer.load(loaded)
        with _refusals_reported(scorer.bundle_id, as_json=as_json):
            log = _Log.read(data, reward, round(window_hours * HOUR_US), variant=variant)
            if temperature is None:
                log, temperature = log.at_own_temperature()
            explores = (
                PlackettLuce(temperature=temperature, share=drawn_share) if temperature else None
            )
            policy = SlatePolicy(order_by=order_by, diversity=diversity, exploration=explores)
            target = TargetPolicy(scorer, policy, by_price=reward is Reward.REVENUE)
            setting = Setting(target, snapshots, reward, log.window_us, seed)
            limits = _Limits(positions, clip, min_rewarded)
            found = _value(log, setting, limits, progress=progress)
        warning = learned_from(log.chosen.answers["now_us"], loaded.manifest.until)
        if report is not None:
            asked = {
                "target": f"{scorer.bundle_id}: {policy.model_dump_json(exclude_defaults=True)}",
                "log": f"{data}, {'every variant' if variant is None else f'only {variant}'}",
                "reward": f"{reward.value} within {window_hours:g} hours",
            }
            if warning is not None:
                asked["warning"] = warning
            blocks = document(found, question=asked, left_out=log.chosen.left_out)
            report.write_text(page("Off-policy estimate", blocks), encoding="utf-8")
    if as_json:
        left_out: dict[str, JsonValue] = {**log.chosen.left_out}
        said: dict[str, JsonValue] = {"left_out": left_out, "warning": warning}
        print_json({"bundle": scorer.bundle_id, **places_json(found), **said})
    else:
        _print(found, reward, left_out=log.chosen.left_out, warning=warning)


def _print(
    found: PlaceValues, reward: Reward, *, left_out: Mapping[str, int], warning: str | None
) -> None:
    for title, one in titled(found).items():
        if isinstance(one, Valuation):
            print_table(interval_table(f"{reward.value} a slate, {title}", rows_for(one)))
        else:
            typer.echo(f"{title}: {one}", err=True)
    typer.echo(f"left out: {left_out}", err=True)
    if warning is not None:
        typer.echo(warning, err=True)


@contextmanager
def _refusals_reported(bundle_id: str, *, as_json: bool) -> Generator[None]:
    """Say in JSON too that nothing is estimated: to a promotion that is an answer."""
    try:
        yield
    except RefusedError as exc:
        if as_json:
            print_json({"bundle": bundle_id, "refusal": str(exc)})
        raise


@dataclass(frozen=True, slots=True, eq=False)
class _Log:
    chosen: LoggedAnswers
    events: EventTable
    window_us: int

    @classmethod
    def read(cls, data: Path, reward: Reward, window_us: int, *, variant: str | None) -> Self:
        dataset = read_dataset(data)
        if reward is Reward.REVENUE:
            dataset.require_trainable()
        exposures = read_exposures(data)
        if variant is not None:
            # An answer has an assignment a layer; one of them is enough.
            of_layer = pl.element().struct
            names = pl.concat_str(
                of_layer.field("experiment"), pl.lit(":"), of_layer.field("variant")
            )
            of_variant = pl.col("assignments").list.eval(names).list.contains(variant)
            exposures = exposures.filter(of_variant)
            if not exposures.height:
                msg = f"no answer of the variant {variant!r}; give it as EXPERIMENT:VARIANT"
                raise AnswersError(msg)
        until_us = known_until_us(exposures, dataset.events)
        chosen = judged(exposures, until_us=until_us, window_us=window_us)
        return cls(chosen, dataset.events, window_us)

    def at_own_temperature(self) -> tuple[Self, float]:
        chosen, temperature = at_own_temperature(self.chosen)
        return replace(self, chosen=chosen), temperature


def _value(log: _Log, setting: Setting, limits: _Limits, *, progress: Progress) -> PlaceValues:
    progress.stage("answers", log.chosen.answers.height)
    rounds = rounds_of(log.chosen.answers, log.events, setting=setting, progress=progress)
    if limits.positions is not None:
        rounds = rounds.top(min(limits.positions, rounds.rewards.shape[1]))
    is_rarer = setting.reward is not Reward.CLICKS
    return value_places(
        rounds,
        seed=setting.seed,
        clip=limits.clip,
        min_rewarded=limits.min_rewarded,
        advice=["value a more frequent reward (--reward clicks)"] if is_rarer else [],
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
