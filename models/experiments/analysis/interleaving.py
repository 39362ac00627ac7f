"""Results of an interleaving: which of two variants customers credit with clicks and purchases.

A click or purchase is credited to the variant that its place belongs to: the place in the answer
that the event names, or, for an event that names none, the last place at which the customer was
shown the sale. Windows are those of `models.experiments.analysis.attribution`: each customer is
observed for the same time after their first interleaved answer, and counts once that is over.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.dataset.events import EventTable
from models.domain.event import from_us, to_us
from models.domain.units import HOUR_US
from models.experiments.analysis.attribution import (
    kept_by_reason,
    last_us,
    routed_answers,
)
from models.experiments.analysis.comparison import Calendar
from models.experiments.analysis.outcome import outcomes
from models.experiments.analysis.preference import Preference, preference
from models.experiments.analysis.sample_ratio import Mismatch, sample_ratio
from models.experiments.exposure import known_until_us, places
from models.experiments.plan.bucketing import BUCKETS
from models.experiments.plan.experiment import Experiment, Unit
from models.experiments.plan.rules import Rules

OVERALL: Final = "overall"
"""Metric of the verdict: purchases, and clicks of customers whose purchases decide nothing."""

PURCHASES: Final = "purchases"
CLICKS: Final = "clicks"

_FROZEN: Final = ConfigDict(frozen=True)


class TeamResult(BaseModel):
    """What the places of a variant brought, of analysed customers within their windows."""

    model_config = _FROZEN

    name: str
    places: int = Field(description="Of all interleaved answers.")
    clicks: int = Field(description="Places that were clicked.")
    purchases: int
    revenue: float


class InterleavingResults(BaseModel):
    """Results of an interleaving so far."""

    model_config = _FROZEN

    experiment: str
    unit: Unit
    first: str = Field(description="The control.")
    second: str
    starts_at: datetime
    until: datetime = Field(description="Up to when events are known.")
    rules: Rules
    verdict: str = Field(description="What came of it, in words, by `overall`.")
    left_out: dict[str, int] = Field(description="Answers, units and events, by the reason.")
    answers: int = Field(description="Interleaved ones.")
    analysed: int = Field(description="Units whose window is over.")
    contested: float | None = Field(
        description="Share of places that belong to a variant; at the others both agree."
    )
    teams: tuple[TeamResult, TeamResult]
    coins: Mismatch = Field(
        description="Pairs in which each variant stands above, with a p-value that is valid at "
        "every look: with an alarm, they were not drawn by chance, and results are not valid."
    )
    preferences: tuple[Preference, ...] = Field(
        description="`overall`: by purchases, and by clicks where purchases decide nothing."
    )


def interleaving_results(
    experiment: Experiment,
    exposures: pl.DataFrame,
    *,
    unit: Unit,
    events: EventTable,
    until: datetime | None = None,
) -> InterleavingResults:
    """Analyse an interleaving from its exposures and events.

    Args:
        experiment: The experiment.
        exposures: Rows of the file of exposures, see `models.experiments.exposure`.
        unit: Assignment unit of its layer.
        events: Events of the same shop.
        until: End of the known events, exclusive; after the latest event or answer if None.

    Raises:
        ExposureError: If the exposures lack a column.
    """
    known_us = 1 + max(known_until_us(exposures, events), to_us(experiment.starts_at))
    end = until or from_us(known_us)
    rules, left_out = experiment.read_by, dict[str, int]()
    routed, shown = _shared(exposures, experiment, until=end, left_out=left_out)
    units = _units(routed, experiment, until=end, rules=rules, left_out=left_out)
    did = outcomes(events, routed, unit=unit, left_out=left_out)
    credited = _credited(shown, did, units=units, window_us=_window_us(rules))
    first, second = (team.name for team in experiment.teams)
    calendar = Calendar.for_experiment(experiment, end, window_hours=rules.window_hours)
    preferences = _preferences(units, credited, second, calendar=calendar, rules=rules)
    coins = _coins(shown, first=first, second=second)
    return InterleavingResults(
        experiment=experiment.name,
        unit=unit,
        first=first,
        second=second,
        starts_at=experiment.starts_at,
        until=end,
        rules=rules,
        verdict=_verdict(
            preferences[0], coins, first=first, second=second, unjudged=_unjudged(units, left_out)
        ),
        left_out=left_out,
        answers=routed.height,
        analysed=units.height,
        contested=shown["team"].count() / shown.height if shown.height else None,
        teams=(_team(first, shown, credited), _team(second, shown, credited)),
        coins=coins,
        preferences=preferences,
    )


def _shared(
    exposures: pl.DataFrame, experiment: Experiment, *, until: datetime, left_out: dict[str, int]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the interleaved answers, and their places."""
    shown = places(exposures, experiment.name)
    end_us = min(to_us(until), last_us(experiment))
    routed = kept_by_reason(
        routed_answers(exposures, experiment, left_out=left_out, end_us=end_us),
        left_out,
        answers_of_one_variant_alone=pl.col("recommendation_id").is_in(
            shown["recommendation_id"].unique().implode()
        ),
    )
    own = routed.select("recommendation_id")
    return routed, shown.join(own, on="recommendation_id", how="semi")


def _window_us(rules: Rules) -> int:
    return round(rules.window_hours * HOUR_US)


def _units(
    routed: pl.DataFrame,
    experiment: Experiment,
    *,
    until: datetime,
    rules: Rules,
    left_out: dict[str, int],
) -> pl.DataFrame:
    ends_us = pl.col("first_us") + _window_us(rules)
    first_us = pl.col("now_us").min().alias("first_us")
    return kept_by_reason(
        routed.group_by("unit_id", maintain_order=True).agg(first_us),
        left_out,
        units_too_late_for_a_whole_window=ends_us <= last_us(experiment),
        units_with_an_open_window=ends_us <= to_us(until),
    )


def _credited(
    shown: pl.DataFrame, did: pl.DataFrame, *, units: pl.DataFrame, window_us: int
) -> pl.DataFrame:
    """Return credited clicks and purchases: ``unit_id, is_purchase, paid, team``."""
    place = ["unit_id", "sale_id"]
    did = did.join(units, on="unit_id", how="inner").filter(
        pl.col("at_us").is_between(
            pl.col("first_us"), pl.col("first_us") + window_us, closed="left"
        )
    )
    names = pl.col("recommendation_id").is_not_null()
    named = did.filter(names).join(shown, on=["recommendation_id", *place], how="inner")
    others = did.filter(~names).drop("recommendation_id").sort("at_us")
    latest = others.join_asof(
        shown.sort("now_us"),
        left_on="at_us",
        right_on="now_us",
        by=place,
        strategy="backward",
        check_sortedness=False,  # polars cannot check it by groups; both are sorted
    )
    wanted = ["recommendation_id", *place, "is_purchase", "paid", "team", "at_us", "now_us"]
    credited = pl.concat([named.select(wanted), latest.select(wanted)]).filter(
        pl.col("team").is_not_null() & (pl.col("at_us") >= pl.col("now_us"))
    )
    # A place that is clicked again and again is no better for it; each purchase counts.
    clicks = credited.filter(~pl.col("is_purchase")).unique(
        ["recommendation_id", *place], keep="first", maintain_order=True
    )
    return pl.concat([credited.filter("is_purchase"), clicks])


def _preferences(
    units: pl.DataFrame, credited: pl.DataFrame, second: str, *, calendar: Calendar, rules: Rules
) -> tuple[Preference, ...]:
    sign = pl.when(pl.col("team") == second).then(1).otherwise(-1)
    margins = units.join(
        credited.group_by("unit_id").agg(
            sign.filter(pl.col("is_purchase")).sum().alias(PURCHASES),
            sign.filter(~pl.col("is_purchase")).sum().alias(CLICKS),
        ),
        on="unit_id",
        how="left",
        maintain_order="left",
    ).with_columns(pl.col(PURCHASES, CLICKS).fill_null(0).cast(pl.Int64))
    bought, clicked = (margins[name].to_numpy() for name in (PURCHASES, CLICKS))
    by_metric = {
        OVERALL: np.where(bought != 0, bought, clicked),
        PURCHASES: bought,
        CLICKS: clicked,
    }
    found = partial(
        preference,
        days=calendar.days(units),
        calendar=calendar,
        planned_units=rules.planned_units,
    )
    return tuple(found(name, margin) for name, margin in by_metric.items())


def _coins(shown: pl.DataFrame, *, first: str, second: str) -> Mismatch:
    # Pairs follow each other: of the places that belong to a variant, each second one is above.
    above = (
        shown.filter(pl.col("team").is_not_null())
        .sort("recommendation_id", "rank")
        .group_by("recommendation_id", maintain_order=True)
        .agg(pl.col("team").gather_every(2))
        .explode("team")
    )
    led = dict(above.group_by("team").len().iter_rows())
    return sample_ratio(led, {first: BUCKETS // 2, second: BUCKETS // 2})


def _team(name: str, shown: pl.DataFrame, credited: pl.DataFrame) -> TeamResult:
    own = credited.filter(pl.col("team") == name)
    bought = own.filter("is_purchase")
    return TeamResult(
        name=name,
        places=shown.filter(pl.col("team") == name).height,
        clicks=own.height - bought.height,
        purchases=bought.height,
        revenue=float(bought["paid"].fill_null(0.0).sum()),
    )


def _unjudged(units: pl.DataFrame, left_out: Mapping[str, int]) -> str:
    """Say why no unit is analysed; empty if one is."""
    if units.height:
        return ""
    found = [f"{n} {name.replace('_', ' ')}" for name, n in left_out.items() if n]
    return f"No customer can be judged yet: {', '.join(found) or 'there are no answers'}."


def _verdict(
    overall: Preference, coins: Mismatch, *, first: str, second: str, unjudged: str
) -> str:
    if coins.alarm:
        return (
            f"Not valid: {first} stands above in {coins.observed[first]} pairs and {second} in "
            f"{coins.observed[second]}, which chance does in fewer than one of two thousand tests, "
            "however often one looks."
        )
    if unjudged:
        return unjudged
    n, found = overall.for_second + overall.for_first, overall.preference
    if not n or found.value is None or found.low is None or found.high is None:
        return f"No customer has preferred {second} or {first} so far."
    interval = f"{found.value:+.1%} [{found.low:+.1%}, {found.high:+.1%}], safe at every look"
    counted = f"of {n} who credited one more, {overall.for_second} credited {second}"
    if not found.sign:
        return f"Cannot tell yet: {counted}; preference {interval}."
    better, worse = (second, first) if found.sign > 0 else (first, second)
    return f"Customers prefer {better} to {worse}: {counted}; preference for {second} {interval}."
