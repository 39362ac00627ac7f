"""Results of an experiment: one function for the service and for reports."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.dataset.events import EventTable
from models.domain.event import from_us, to_us
from models.experiments.analysis.attribution import Attributed, attribute
from models.experiments.analysis.comparison import (
    Calendar,
    Comparison,
    compare,
    with_adjusted_p_values,
)
from models.experiments.analysis.exploration_price import ExplorationPrice, exploration_price
from models.experiments.analysis.guardrail import Guardrail, Latency, guardrails, latency
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.mean import mean_interval
from models.experiments.analysis.metric import METRICS
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.row_result import RowResult, row_results
from models.experiments.analysis.sample_ratio import Mismatch, sample_ratio
from models.experiments.analysis.verdict import ExperimentVerdict, verdicts
from models.experiments.exposure import known_until_us
from models.experiments.plan.experiment import Experiment, Unit
from models.experiments.plan.rules import Rules

_FROZEN: Final = ConfigDict(frozen=True)


class VariantResult(BaseModel):
    """Counts and means of a variant; intervals of 95%."""

    model_config = _FROZEN

    name: str
    share_bp: int
    assigned: int
    exposed: int
    analysed: int
    answers: int
    metrics: dict[str, Interval]
    largest_revenue_share: float | None = Field(
        description="Share of its revenue that the unit with the most has; null without revenue."
    )
    latency: Latency | None = Field(description="Null where no record says how long it took.")
    exploration: ExplorationPrice | None = Field(description="Null without answers.")
    rows: tuple[RowResult, ...] = Field(description="Rows of its pages; empty without pages.")


class Results(BaseModel):
    """Results of an experiment so far."""

    model_config = _FROZEN

    experiment: str
    unit: Unit
    control: str
    starts_at: datetime
    until: datetime = Field(description="Up to when events are known.")
    rules: Rules
    verdicts: tuple[ExperimentVerdict, ...] = Field(
        description="What came of it, in words: alarms first, then each variant by conversion."
    )
    left_out: dict[str, int] = Field(description="Answers, units and events, by the reason.")
    unpriced_purchases: int = Field(description="Purchases without revenue or price.")
    variants: tuple[VariantResult, ...]
    sample_ratio: Mismatch = Field(description="Of assigned units.")
    analysed_ratio: Mismatch = Field(
        description="Of analysed units: an alarm of these alone shows units that a variant lost."
    )
    comparisons: tuple[Comparison, ...]
    guardrails: tuple[Guardrail, ...]


def experiment_results(
    experiment: Experiment,
    exposures: pl.DataFrame,
    *,
    unit: Unit,
    events: EventTable,
    until: datetime | None = None,
) -> Results:
    """Analyse an experiment from its exposures and events.

    Args:
        experiment: The experiment.
        exposures: Rows of the file of exposures, see `models.experiments.exposure`.
        unit: Assignment unit of its layer.
        events: Events of the same shop.
        until: End of the known events, exclusive; after the latest event or answer if None.

    Raises:
        ExposureError: If the exposures lack a column.
    """
    end = until or from_us(1 + max(known_until_us(exposures, events), to_us(experiment.starts_at)))
    found = attribute(exposures, events, experiment=experiment, unit=unit, until=end)
    shares = {variant.name: variant.share_bp for variant in experiment.variants}
    units = {name: found.units.filter(pl.col("variant") == name) for name in shares}
    answers = {name: found.answers.filter(pl.col("variant") == name) for name in shares}
    ratios = {
        "assigned": sample_ratio(found.assigned, shares),
        "analysed": sample_ratio({name: one.height for name, one in units.items()}, shares),
    }
    comparisons = _comparisons(experiment, units, until=end)
    rows = row_results(exposures, found.answers, events=events, unit=unit)
    rails = guardrails(answers, experiment.control, rules=experiment.read_by)
    variants = tuple(_variants(found, shares, units=units, answers=answers, rows=rows))
    return Results(
        experiment=experiment.name,
        unit=unit,
        control=experiment.control,
        starts_at=experiment.starts_at,
        until=end,
        rules=experiment.read_by,
        verdicts=verdicts(
            comparisons,
            rails,
            control=experiment.control,
            ratios=ratios,
            control_buyers=int(units[experiment.control]["bought"].sum()),
            largest_shares={one.name: one.largest_revenue_share for one in variants},
            unit=unit,
            unjudged=_unjudged(found),
        ),
        left_out=found.left_out,
        unpriced_purchases=int(found.units["unpriced"].sum()),
        variants=variants,
        sample_ratio=ratios["assigned"],
        analysed_ratio=ratios["analysed"],
        comparisons=comparisons,
        guardrails=rails,
    )


def _unjudged(found: Attributed) -> str:
    if found.units.height:
        return ""
    reasons = {name: n for name, n in found.left_out.items() if not name.startswith("events_")}
    most = max(reasons, key=lambda name: reasons[name])
    if not reasons[most]:
        return "No unit was assigned: no exported answer is of this experiment."
    return f"No unit could be analysed. The most frequent reason is: {most.replace('_', ' ')}."


def _largest_share(paid: pl.Series) -> float | None:
    total = float(paid.sum())
    return float(paid.to_numpy().max()) / total if total > 0 else None


def _comparisons(
    experiment: Experiment, units: Mapping[str, pl.DataFrame], *, until: datetime
) -> tuple[Comparison, ...]:
    rules = experiment.read_by
    calendar = Calendar.for_experiment(experiment, until, window_hours=rules.window_hours)
    compared = partial(
        compare, control=experiment.control, calendar=calendar, planned_units=rules.planned_units
    )
    return with_adjusted_p_values([one for metric in METRICS for one in compared(metric, units)])


def _variants(
    found: Attributed,
    shares: Mapping[str, int],
    *,
    units: Mapping[str, pl.DataFrame],
    answers: Mapping[str, pl.DataFrame],
    rows: Mapping[str, tuple[RowResult, ...]],
) -> Iterator[VariantResult]:
    for name, share in shares.items():
        yield _variant(
            found,
            name,
            share_bp=share,
            units=units[name],
            answers=answers[name],
            rows=rows.get(name, ()),
        )


def _variant(
    found: Attributed,
    name: str,
    *,
    share_bp: int,
    units: pl.DataFrame,
    answers: pl.DataFrame,
    rows: tuple[RowResult, ...],
) -> VariantResult:
    means = {
        metric.name: mean_interval(
            Moments.from_columns(metric.columns(units)), is_share=metric.is_share
        )
        for metric in METRICS
    }
    return VariantResult(
        name=name,
        share_bp=share_bp,
        assigned=found.assigned.get(name, 0),
        exposed=found.exposed.get(name, 0),
        analysed=units.height,
        answers=answers.height,
        metrics=means,
        largest_revenue_share=_largest_share(units["revenue"]),
        latency=latency(answers),
        exploration=exploration_price(answers),
        rows=rows,
    )
