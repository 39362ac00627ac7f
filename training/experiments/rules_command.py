"""Command ``python -m training rule-prices``: what each rule costs, from exported answers."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from models.experiments.exposure import ExposureError, read_exposures
from training.console import Data, Json, exit_on_user_error, print_json
from training.report.block import Table
from training.report.terminal import print_table
from training.statistics.bootstrap import Interval, resample

_PRICES: Final = "rule_prices"
_NEEDED: Final = ("recommendation_id", "customer_id", _PRICES)
_PER: Final = 1_000
_SEED: Final = 0
_FEW: Final = 10
"""Customers below which there is no interval; chosen."""
_WHOLE: Final = 100
"""From here on numbers are printed whole."""


@dataclass(frozen=True, slots=True)
class PriceOfRule:
    """Price of a rule over all priced answers, per 1,000 answers in which it holds.

    Attributes:
        rule: Name of the rule.
        dry_run: Whether it changed nothing; a rule of a name that was both is two.
        answers: Priced answers.
        customers: Customers who got them.
        changed: Share of them that it changes.
        outcomes: Expected purchases that it loses, with a 95% interval over customers; its ends
            are NaN below `_FEW` customers.
        revenue: The same of revenue; None where prices of sales are unknown.
    """

    rule: str
    dry_run: bool
    answers: int
    customers: int
    changed: float
    outcomes: Interval
    revenue: Interval | None


def rule_prices_command(data: Data, *, as_json: Json = False) -> None:
    """Print what each rule costs in expected purchases and revenue, dry runs too."""
    with exit_on_user_error():
        prices = prices_of_rules(read_exposures(data, _NEEDED))
    if as_json:
        print_json({"rules": [asdict(one) for one in prices]})
        return
    print_table(table_of(prices))


def prices_of_rules(exposures: pl.DataFrame) -> list[PriceOfRule]:
    """Return the price of each rule, the dearest first.

    Args:
        exposures: ``recommendation_id``, ``customer_id`` and ``rule_prices`` of answers.

    Raises:
        ExposureError: If no answer has prices.
    """
    priced = exposures.explode(_PRICES).drop_nulls(_PRICES)
    if not priced.height:
        msg = (
            "no exported answer has prices of rules: one in twenty answers of a plan with rules is "
            "priced, so export more of them"
        )
        raise ExposureError(msg)
    # Visitors without an id are customers of their own.
    unit = pl.coalesce("customer_id", "recommendation_id").alias("unit")
    rows = priced.with_columns(unit).unnest(_PRICES)
    by = rows.group_by("rule", "dry_run", maintain_order=True)
    found = [_of_rule(group) for _, group in by]
    return sorted(found, key=lambda one: -one.outcomes.value)


def _of_rule(rows: pl.DataFrame) -> PriceOfRule:
    units = rows["unit"].rank("dense").to_numpy().astype(np.int64) - 1
    return PriceOfRule(
        rule=rows["rule"][0],
        dry_run=rows["dry_run"][0],
        answers=rows.height,
        customers=rows["unit"].n_unique(),
        changed=np.count_nonzero(rows["outcomes"].to_numpy()) / rows.height,
        outcomes=_per_thousand(rows["outcomes"], units),
        revenue=None if rows["revenue"].null_count() else _per_thousand(rows["revenue"], units),
    )


def _per_thousand(lost: pl.Series, units: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Interval:
    values = _PER * lost.to_numpy().astype(np.float64)
    resampled = resample(values[:, None], units, seed=_SEED)
    found = resampled.intervals()[0]
    few = resampled.n_customers[0] < _FEW
    return replace(found, low=math.nan, high=math.nan) if few else found


def table_of(prices: list[PriceOfRule]) -> Table:
    """Return the prices as a table."""
    return Table(
        caption="Expected loss per 1,000 answers in which a rule holds, with 95% intervals",
        columns=["rule", "answers", "changed", "purchases lost", "revenue lost, as prices are"],
        rows=[list(_cells(one)) for one in prices],
    )


def _cells(one: PriceOfRule) -> Iterator[str]:
    yield f"{one.rule} (dry run)" if one.dry_run else one.rule
    yield f"{one.answers:,}"
    yield f"{one.changed:.0%}"
    yield _said(one.outcomes, one.customers)
    yield "unknown" if one.revenue is None else _said(one.revenue, one.customers)


def _said(interval: Interval, customers: int) -> str:
    if math.isnan(interval.low):
        return f"{_number(interval.value)} of {customers}: too few customers"
    low, high = _number(interval.low), _number(interval.high)
    return f"{_number(interval.value)} [{low}, {high}]"


def _number(value: float) -> str:
    """Return three digits at least, without powers of ten."""
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"
