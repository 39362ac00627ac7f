"""Experiment report: results and designs of experiments as the blocks of an HTML page."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from models.experiments.analysis.design import BASELINE_DAYS, Design
from models.experiments.analysis.exploration_price import ExplorationPrice
from models.experiments.analysis.guardrail import DEGRADED, Guardrail, State
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.metric import METRICS
from models.experiments.analysis.results import Results
from models.experiments.analysis.verdict import Outcome
from training.report.block import (
    BandPlot,
    Bar,
    BarPlot,
    Block,
    Cell,
    Conclusion,
    Facts,
    Heading,
    Mark,
    Paragraph,
    Table,
    Tone,
)

_SAFE: Final = (
    "'Safe' intervals and p-values may be looked at every day: over all looks together they "
    "mislead in at most one experiment of twenty. The others hold for one look, planned before "
    "the start. 'Adjusted' p-values are safe for all variants and metrics of this table together."
)
_CAUTION: Final = (
    "Every unit that came is taken as if its first event had been its exposure. A variant that "
    "changes how much outcomes vary changes what can be seen."
)
_UNKNOWN: Final = "–"
_HOUR: Final = 60
_DAY: Final = 24 * _HOUR
_OUTCOMES: Final = {
    Outcome.INVALID: Mark("alarm", Tone.BAD),
    Outcome.NO_RESULTS: Mark("no results", Tone.OPEN),
    Outcome.ABOVE: Mark("above", Tone.GOOD),
    Outcome.BELOW: Mark("below", Tone.BAD),
    Outcome.UNDECIDED: Mark("cannot tell", Tone.OPEN),
}
_STATES: Final = {
    State.OPEN: Mark("open", Tone.OPEN),
    State.HELD: Mark("held", Tone.GOOD),
    State.BREACHED: Mark("BREACHED", Tone.BAD),
}


def results_document(results: Results) -> list[Block]:
    """Return the blocks of what came of an experiment."""
    blocks: list[Block] = [
        Paragraph(
            f"{results.experiment}: from {results.starts_at:%Y-%m-%d %H:%M} until "
            f"{results.until:%Y-%m-%d %H:%M} UTC, assigned by {results.unit}. Events within "
            f"{results.rules.window_hours:g} hours of a unit's first exposure count."
        )
    ]
    blocks += [Conclusion(_OUTCOMES[one.outcome], one.text) for one in results.verdicts]
    blocks += [_facts(results), _lift_table(results), *_no_lifts(results), Paragraph(_SAFE)]
    blocks += [Heading("Over time"), *_sequences(results)]
    blocks.append(Heading("Variants"))
    for metric in METRICS:
        bars = [
            # No interval is drawn where both ends are the value.
            Bar(variant.name, mean, _or(found.low, mean), _or(found.high, mean))
            for variant in results.variants
            for found in [variant.metrics[metric.name]]
            if (mean := found.value) is not None
        ]
        blocks.append(BarPlot(f"{metric.name}: {metric.text}", bars))
    blocks += [Heading("Units"), *_unit_tables(results)]
    latencies = [
        [one.name, *(f"{ms:.3g}" for ms in (took.p50_ms, took.p95_ms, took.p99_ms))]
        for one in results.variants
        if (took := one.latency)
    ]
    if any(one.rows for one in results.variants):
        blocks += [Heading("Rows of pages"), _row_table(results)]
    blocks += [Heading("Guardrails"), _guardrail_table(results.guardrails)]
    # Files from before latency was recorded have none.
    if latencies:
        columns = ["variant", "p50", "p95", "p99"]
        blocks.append(Table("Time of an answer in ms", columns, latencies))
    return blocks


def design_document(plan: Design) -> list[Block]:
    """Return the blocks of what an experiment could see."""
    columns = ["metric", "mean", "explained by before"]
    days = sorted({day for size in plan.sizes for day in size.detectable_lift})
    columns += [f"lift found in {day} days" for day in days]
    columns += [f"units for {plan.wanted_lift:+.0%}", "days", "planned_units", "units, one look"]
    rows = [
        [
            size.metric,
            f"{size.mean:.4g}",
            f"{size.variance_reduction:.0%}",
            *(_percent(size.detectable_lift[day]) for day in days),
            str(size.required_units or _UNKNOWN),
            str(size.minimum_days or f"more than {len(plan.units_by_day)}"),
            str(size.planned_units or _UNKNOWN),
            str(size.required_units_at_one_look or _UNKNOWN),
        ]
        for size in plan.sizes
    ]
    return [
        Heading("Before the start"),
        Paragraph(
            f"From {plan.baseline_from:%Y-%m-%d} to {plan.baseline_until:%Y-%m-%d}, "
            f"{_days(len(plan.units_by_day))}, in which {plan.units_by_day[-1]} units would have "
            "come. Found is what the verdict, which is safe at every look, shows with "
            f"a chance of {plan.power:.0%}; days are whole weeks, and {plan.window_hours:g} hours "
            f"are to be waited for after them. {_CAUTION}"
        ),
        Paragraph(
            "Write planned_units of the metric that decides into results of the experiment, which "
            f"plans {plan.planned_units} now. A test that is looked at once, at its end, needs the "
            "units of the last column, and its p-value holds at no other look."
        ),
        Table(f"Power and duration of {plan.experiment}", columns, rows),
        Paragraph(_interleaved(plan)),
    ]


def _days(n: int) -> str:
    if n == BASELINE_DAYS:
        return f"{n} days"
    return f"{n} days ({BASELINE_DAYS} are usual: of fewer all figures are less certain)"


def _interleaved(plan: Design) -> str:
    size = plan.interleaving
    if size.required_units is None:
        return "Interleaved: no click or purchase names an answer, so none could be credited."
    days = size.minimum_days or f"more than {len(plan.units_by_day)}"
    return (
        f"Interleaved: at most {size.required_units} units in {days} days for "
        f"{plan.wanted_lift:+.0%} of clicks and purchases, a preference of {size.preference:+.1%} "
        f"among the {size.deciding_share:.1%} of units that click or buy in an answer. "
        "Fewer, where both show mostly the same sales."
    )


def _facts(results: Results) -> Facts:
    analysed = sum(one.analysed for one in results.variants)
    assigned = sum(one.assigned for one in results.variants)
    # The metric is the mean of a unit, so that times the units it is a whole number.
    purchases = sum(
        round(one.analysed * (one.metrics["purchases"].value or 0.0)) for one in results.variants
    )
    period = f"{results.starts_at:%-d %b %Y} to {results.until:%-d %b %Y}, UTC"
    return Facts(
        [
            ("Units analysed", f"{analysed:,}", f"of {assigned:,} assigned"),
            ("Purchases", f"{purchases:,}", f"within {results.rules.window_hours:g} hours"),
            ("Period", _duration(results.until - results.starts_at), period),
        ]
    )


def _duration(period: timedelta) -> str:
    """Return it in the largest unit of which it has two."""
    minutes = period / timedelta(minutes=1)
    if minutes < 2 * _HOUR:
        return f"{minutes:.0f} minutes"
    return f"{minutes / _HOUR:.1f} hours" if minutes < 2 * _DAY else f"{minutes / _DAY:.1f} days"


def _lift_table(results: Results) -> Table:
    columns = ["variant", "metric", "lift", "p", "safe lift", "safe p"]
    columns += ["adjusted p", "explained by before"]
    rows = [
        [
            one.variant,
            one.metric,
            _interval(one.lift),
            _UNKNOWN if one.p_value is None else f"{one.p_value:.2g}",
            _interval(one.safe_lift),
            f"{one.safe_p_value:.2g}",
            f"{one.adjusted_p_value:.2g}",
            f"{one.variance_reduction:.0%}",
        ]
        for one in results.comparisons
    ]
    return Table(f"Beside {results.control}", columns, rows)


def _no_lifts(results: Results) -> Iterator[Paragraph]:
    reasons = dict.fromkeys(one.no_lift for one in results.comparisons if one.no_lift)
    if reasons:
        yield Paragraph(f"There is no lift where {'; '.join(reasons)}.")


def _row_table(results: Results) -> Table:
    columns = ["variant", "row", "pages", "with sales", "shown", "clicked", "bought", "click rate"]
    rows = [
        [
            variant.name,
            one.row,
            *(f"{n:,}" for n in (one.pages, one.filled, one.shown, one.clicked, one.bought)),
            _interval(one.click_rate),
        ]
        for variant in results.variants
        for one in variant.rows
    ]
    return Table("Sales shown in each row; events that refer to the page count", columns, rows)


def _sequences(results: Results) -> Iterator[BandPlot | Paragraph]:
    for one in results.comparisons:
        bands = [
            Bar(f"{look.until:%-d %b}", value, low, high)
            for look in one.looks
            for value, low, high in [(look.lift.value, look.lift.low, look.lift.high)]
            # Without both ends the first looks know too little for a band.
            if value is not None and low is not None and high is not None
        ]
        name = f"{one.metric}: {one.variant} beside {results.control}"
        if bands:
            yield BandPlot(f"{name}, safe at every look", "relative lift", bands, percent=True)
        else:
            yield Paragraph(f"{name}: too little is known yet to draw.")


def _unit_tables(results: Results) -> Iterator[Table]:
    expected = results.sample_ratio.expected
    columns = ["variant", "share", "assigned", "expected", "exposed", "analysed", "answers"]
    columns += ["explored", "outcomes lost per 1,000 answers"]
    rows = [
        [
            one.name,
            f"{one.share_bp / 100:g}%",
            f"{one.assigned:,}",
            f"{expected[one.name]:,.1f}",
            f"{one.exposed:,}",
            f"{one.analysed:,}",
            f"{one.answers:,}",
            *_explored(one.exploration),
        ]
        for one in results.variants
    ]
    ratios = {"assigned": results.sample_ratio, "analysed": results.analysed_ratio}
    tests = ", ".join(
        f"{which} p {one.p_value:.3g} ({'ALARM' if one.alarm else 'no alarm'})"
        for which, one in ratios.items()
    )
    yield Table(
        f"Units by variant; sample ratio of {tests}",
        columns,
        rows,
    )
    left_out = [[name.replace("_", " "), str(n)] for name, n in results.left_out.items()]
    left_out.append(["purchases without a price", str(results.unpriced_purchases)])
    yield Table("Left out", ["reason", "number"], left_out)


def _explored(price: ExplorationPrice | None) -> list[str]:
    return [_UNKNOWN] * 2 if price is None else [f"{price.answers:,}", f"{price.lost_per_1000:.3g}"]


def _guardrail_table(guardrails: tuple[Guardrail, ...]) -> Table:
    columns = ["variant", "guardrail", "control", "variant's", "change", "limit", "state"]
    rows = [
        [
            one.variant,
            one.name,
            f"{one.control_value:.4g}",
            f"{one.variant_value:.4g}",
            _in_unit(one, _interval(one.change)),
            _in_unit(one, f"{one.limit:+.0%}"),
            Cell("", _STATES[one.state]),
        ]
        for one in guardrails
    ]
    caption = (
        "Degraded answers, mean latency in ms, sales shown; safe intervals; changes in points, or "
        "in percent of the control's"
    )
    return Table(caption, columns, rows)


def _in_unit(guardrail: Guardrail, percent: str) -> str:
    return percent.replace("%", " points") if guardrail.name == DEGRADED else percent


def _interval(found: Interval) -> str:
    if found.value is None or found.low is None:
        return _percent(found.value)
    high = "no end" if found.high is None else _percent(found.high)
    return f"{_percent(found.value)}\n[{_percent(found.low)}, {high}]"


def _or(end: float | None, value: float) -> float:
    return value if end is None else end


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:+.2%}"
