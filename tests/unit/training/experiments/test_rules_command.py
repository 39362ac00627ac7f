"""Prices of rules from exported answers."""

import math

import polars as pl
import pytest

from models.experiments.exposure import ExposureError
from models.experiments.exposure_record import FILE_COLUMNS
from training.experiments.rules_command import prices_of_rules, table_of

COLUMNS = ["recommendation_id", "customer_id", "rule_prices"]
SCHEMA = {name: FILE_COLUMNS[name] for name in COLUMNS}


def price(rule: str, outcomes: float, revenue: float | None, *, dry_run: bool = False) -> object:
    return {"rule": rule, "dry_run": dry_run, "outcomes": outcomes, "revenue": revenue}


def answers(*rows: tuple[str | None, list[object]]) -> pl.DataFrame:
    named = [(f"a{number}", *row) for number, row in enumerate(rows)]
    return pl.DataFrame(named, schema=SCHEMA, orient="row")


def test_prices_are_means_per_thousand_answers() -> None:
    """A mean of 0.02 and 6 a priced answer; answers without prices do not count.

    Three customers are too few for an interval.
    """
    found = prices_of_rules(
        answers(
            ("c1", [price("pin", 0.01, 4.0), price("spa", 0.5, None, dry_run=True)]),
            ("c2", [price("pin", 0.03, 8.0)]),
            ("c3", []),
            (None, [price("pin", 0.02, 6.0)]),
        )
    )

    spa, pin = found
    assert (spa.rule, spa.dry_run, spa.answers, spa.revenue) == ("spa", True, 1, None)
    assert (pin.rule, pin.dry_run, pin.answers, pin.changed) == ("pin", False, 3, 1.0)
    assert pin.outcomes.value == pytest.approx(20.0)
    assert pin.customers == 3
    assert math.isnan(pin.outcomes.low)
    assert pin.revenue is not None
    assert pin.revenue.value == pytest.approx(6_000.0)


@pytest.mark.parametrize(("n_customers", "has"), [(9, False), (10, True)])
def test_an_interval_takes_ten_customers_however_many_answers(
    n_customers: int, *, has: bool
) -> None:
    """Answers of one customer are alike: of one alone the interval would have no width."""
    rows = [(f"c{n % n_customers}", [price("pin", 0.01 * (n % 2), 1.0)]) for n in range(90)]

    [one] = prices_of_rules(answers(*rows))

    assert (one.outcomes.low < 5.0 < one.outcomes.high) is has
    assert str(table_of([one]).rows[0][3]).endswith("too few customers") is not has


def test_a_name_that_was_a_dry_run_first_is_two_rules() -> None:
    found = prices_of_rules(
        answers(("c1", [price("ski", 0.5, None, dry_run=True)]), ("c2", [price("ski", 0.1, None)]))
    )

    assert [(one.rule, one.dry_run) for one in found] == [("ski", True), ("ski", False)]


def test_a_rule_that_changed_nothing_costs_nothing() -> None:
    [one] = prices_of_rules(answers(("c1", [price("at-most", 0.0, 0.0)])))

    assert (one.outcomes.value, one.changed) == (0.0, 0.0)


def test_large_amounts_are_printed_without_powers_of_ten() -> None:
    [one] = prices_of_rules(
        answers(*[(f"c{number}", [price("pin", 0.0125, -9.8251)]) for number in range(10)])
    )

    row = table_of([one]).rows[0]

    assert row == ["pin", "10", "100%", "12.5 [12.5, 12.5]", "-9,825 [-9,825, -9,825]"]


def test_answers_without_prices_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ExposureError, match="one in twenty"):
        prices_of_rules(answers(("c1", []), ("c2", [])))
