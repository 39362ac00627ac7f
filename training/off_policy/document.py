"""Output of off-policy estimates: JSON, a table on a terminal, and the blocks of a report."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from pydantic import JsonValue

from training.evaluation.document import interval_table
from training.off_policy.bandit import Crossing
from training.off_policy.policy_value import FIRST_PLACES, PlaceValues, Valuation
from training.off_policy.support import RefusedError
from training.report.block import Bar, BarPlot, Block, Heading, Paragraph, Table
from training.statistics.bootstrap import Interval

LOGGED: Final = "as logged"
VALUE: Final = "value"
DIFFERENCE: Final = "target - logged"

_READING: Final = (
    "Values are rewards a slate; intervals are 95% over customers. dm is the prediction of the "
    "bundle itself: its interval leaves out the errors of the model. ips, snips and dr weight "
    "whole slates and assume nothing about how positions depend on each other; rips and "
    "cascade-dr assume that the reward of a position does not depend on what is below it, and "
    "have narrower intervals for long slates. Where estimators disagree beyond their intervals, "
    "believe none."
)


def rows_for(valuation: Valuation) -> dict[str, dict[str, Interval]]:
    """Return the values, and differences to the logged one, a line an estimator."""
    found = {
        name: {VALUE: interval, DIFFERENCE: valuation.difference[name]}
        for name, interval in valuation.target.items()
    }
    return {LOGGED: {VALUE: valuation.logged}} | found


def valuation_json(valuation: Valuation) -> dict[str, JsonValue]:
    """Return all figures of a valuation."""
    support: dict[str, JsonValue] = {
        **asdict(valuation.support),
        "effective": [*valuation.support.effective],
    }
    return {
        "logged": _plain(valuation.logged),
        "target": {name: _plain(one) for name, one in valuation.target.items()},
        "difference": {name: _plain(one) for name, one in valuation.difference.items()},
        "support": support,
    }


def titled(found: PlaceValues) -> dict[str, Valuation | RefusedError]:
    """Return the values, or refusals, by the places that they are of."""
    first = {} if found.first is None else {f"first {FIRST_PLACES} places": found.first}
    return {"all places": found.whole, **first}


def places_json(found: PlaceValues) -> dict[str, JsonValue]:
    """Return all figures of whole slates, and those of the first places below a name."""
    if found.first is None:
        return _judged_json(found.whole)
    return {**_judged_json(found.whole), f"first_{FIRST_PLACES}": _judged_json(found.first)}


def _judged_json(one: Valuation | RefusedError) -> dict[str, JsonValue]:
    return valuation_json(one) if isinstance(one, Valuation) else {"refusal": str(one)}


def crossing_json(crossing: Crossing) -> dict[str, JsonValue]:
    """Return all figures of a policy valued from the other's log."""
    return {
        "campaign": crossing.campaign,
        "logging": crossing.logging,
        "target": crossing.target,
        "own": _plain(crossing.own),
        "valuation": None if crossing.valuation is None else valuation_json(crossing.valuation),
        "relative_errors": {**crossing.relative_errors()},
        "refusal": crossing.refusal,
    }


def _plain(interval: Interval) -> dict[str, JsonValue]:
    return {**asdict(interval)}


def document(
    found: PlaceValues, *, question: Mapping[str, str], left_out: Mapping[str, int]
) -> list[Block]:
    """Return the blocks of a report.

    Args:
        found: What was found.
        question: What was asked, by name.
        left_out: Number of answers that were not judged, by the reason.
    """
    blocks: list[Block] = [
        Table("What is asked", ["", ""], [list(row) for row in question.items()], of_words=True)
    ]
    for title, one in titled(found).items():
        blocks.append(Heading(f"What the policies bring a slate: {title}"))
        blocks += _valued(one) if isinstance(one, Valuation) else [Paragraph(f"Refused: {one}")]
    rows = [[reason, str(n)] for reason, n in left_out.items()]
    return [*blocks, Paragraph(_READING), Table("Answers left out", ["reason", "answers"], rows)]


def _valued(valuation: Valuation) -> list[Block]:
    values = {LOGGED: valuation.logged} | valuation.target
    bars = [
        Bar(name, max(one.value, 0.0), max(one.low, 0.0), max(one.high, 0.0))
        for name, one in values.items()
    ]
    support = valuation.support
    measured = {
        "answers judged": f"{support.n_rounds:,}",
        "customers": f"{support.n_units:,}",
        "worth of the target's, by position": ", ".join(f"{n:,.0f}" for n in support.effective),
        "worth of the target's with a reward": f"{support.effective_rewarded:,.0f}",
        "mean weight (1 but for chance)": f"{support.mean_weight:.3g}",
        "largest weight": f"{support.largest_weight:.3g}",
        "weights were cut at": f"{support.clip:.3g}",
        "answers with a cut weight": f"{support.clipped_rounds:.2%}",
        "weight that was cut off": f"{support.clipped_mass:.2%}",
        "of the target's slates, never shown": f"{support.unsupported:.2%}",
    }
    return [
        BarPlot("Value a slate", bars),
        interval_table("Estimates", rows_for(valuation), first="estimator"),
        Table("Support", ["", ""], [list(row) for row in measured.items()]),
    ]
