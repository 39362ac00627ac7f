"""Prices of rules by hand: the slate without a rule, minus the slate with it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.slate.exploration import seed_from
from models.slate.rule_price import PRICED_SHARE, RulePrice, is_priced, rule_prices
from models.slate.slate import make_slate
from models.slate.slate_policy import SlatePolicy
from tests.unit.models.slate.test_ruled_slate import FALLING, SIX, question, rules, sales, scores

EXAMINED = np.array([1.0, 0.5, 0.25])
NO_SKI = {"where": 'category == "ski"', "action": {"kind": "exclude"}}
CITY_FIRST = {"where": 'category == "city"', "action": {"kind": "pin", "rank": 1}}


def priced(*given: dict[str, Any], known: bool = True) -> dict[str, RulePrice]:
    query = question(sales(*SIX))
    prices = np.array([100.0, 200.0, 300.0, 400.0, 500.0, 600.0 if known else np.nan])
    scored = replace(scores(FALLING), prices=prices)
    found = rule_prices(query, scored, rules=rules(*given), diversity=0.0, p_examined=EXAMINED)
    return {one.rule: one for one in found}


def test_a_rule_costs_what_the_slate_without_it_would_bring_more() -> None:
    """0.6 + 0.5 / 2 + 0.4 / 4 = 0.95 without; 0.4 + 0.3 / 2 + 0.2 / 4 = 0.6 with."""
    one = priced(NO_SKI)["rule-0"]

    assert one.outcomes == pytest.approx(0.95 - 0.6)
    # 60 + 50 + 30 without, 120 + 60 + 25 with: dearer sales are shown.
    assert one.revenue == pytest.approx(140 - 205)


def test_each_rule_is_priced_beside_the_others_and_dry_runs_beside_them() -> None:
    """Both: 4, 2, 3. Without the pin: 2, 3, 4. Without the filter: 4, 0, 1."""
    both = 0.2 + 0.4 / 2 + 0.3 / 4
    found = priced(NO_SKI, CITY_FIRST, {**NO_SKI, "where": 'sale_id == "s2"', "dry_run": True})

    assert found["rule-0"].outcomes == pytest.approx(0.2 + 0.6 / 2 + 0.5 / 4 - both)
    assert found["rule-1"].outcomes == pytest.approx(0.4 + 0.3 / 2 + 0.2 / 4 - both)
    # Without s2 as well: 4, 3, 5.
    assert found["rule-2"].outcomes == pytest.approx(both - (0.2 + 0.3 / 2 + 0.1 / 4))
    assert [one.dry_run for one in found.values()] == [False, False, True]


def test_a_rule_that_changes_nothing_costs_nothing_and_one_that_does_not_hold_is_left_out() -> None:
    bound = {"action": {"kind": "at_most", "n": 3}}
    found = priced(bound, {**NO_SKI, "when": 'market == "de"'})

    assert [*found] == ["rule-0"]
    assert found["rule-0"].outcomes == 0


def test_revenue_is_unknown_where_the_price_of_a_shown_sale_is() -> None:
    assert priced({**CITY_FIRST, "where": 'sale_id == "s5"'}, known=False)["rule-0"].revenue is None
    assert priced(NO_SKI, known=False)["rule-0"].revenue is not None


def test_one_in_twenty_answers_is_priced_whether_it_is_drawn_or_not() -> None:
    n = 20_000
    share = sum(is_priced(seed_from(f"answer {number}")) for number in range(n)) / n

    # Four standard errors.
    assert share == pytest.approx(PRICED_SHARE, abs=4 * (PRICED_SHARE / n) ** 0.5)


def test_a_dry_run_changes_no_slate() -> None:
    query, scored = question(sales(*SIX)), scores(FALLING)
    policy = SlatePolicy(rules=rules({**NO_SKI, "dry_run": True}))

    slate = make_slate(query, scored, policy=policy, limit=3, seed=1)

    assert slate.picks.tolist() == [0, 1, 2]
    assert slate.rules == ()
