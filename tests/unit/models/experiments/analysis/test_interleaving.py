"""Results of interleavings by hand: whose place was clicked, and what follows from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from models.experiments.analysis.comparison import Calendar
from models.experiments.analysis.interleaving import InterleavingResults, interleaving_results
from models.experiments.analysis.preference import Preference, preference, preference_interval
from models.experiments.analysis.sequential_test import sequential_width
from models.experiments.exposure import ExposureError
from models.experiments.plan.experiment import INTERLEAVED, Experiment, Unit
from tests import trials
from tests.trials import DAY_US, HOUR_US, START, Did

RULES = {"window_hours": 24, "planned_units": 100}
OLD, NEW = "old", "new"
UNTIL = START + timedelta(days=10)


def experiment(**fields: object) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "trial",
            "kind": "interleaving",
            "layer": "layer",
            "salt": "salt",
            "starts_at": START,
            "control": OLD,
            "variants": [{"name": NEW}, {"name": OLD}],
            "results": RULES,
            **fields,
        }
    )


@dataclass(frozen=True, kw_only=True)
class Shared:
    """One answer: its sales, and the team of each; None for an answer of one variant alone."""

    unit: str | None = "c1"
    at: int = 0
    teams: tuple[str | None, ...] | None = (OLD, NEW, None)
    sales: tuple[str, ...] = ("s1", "s2", "s3")
    is_forced: bool = False


def exposures(shared: Sequence[Shared]) -> pl.DataFrame:
    """The file of exposures; ``x0`` is the id of the first answer."""
    plain = trials.exposures(
        [
            trials.Answer(
                unit=one.unit,
                variant=INTERLEAVED,
                at=one.at,
                share_bp=10_000,
                is_forced=one.is_forced,
                sales=one.sales,
            )
            for one in shared
        ]
    )
    teams = [
        None if one.teams is None else {"experiment": "trial", "teams": one.teams} for one in shared
    ]
    dtype = pl.Struct({"experiment": pl.String, "teams": pl.List(pl.String)})
    return plain.with_columns(pl.Series("interleaving", teams, dtype=dtype))


def found(
    shared: Sequence[Shared], did: Sequence[Did], *, unit: Unit = Unit.CUSTOMER, **fields: object
) -> InterleavingResults:
    return interleaving_results(
        experiment(**fields),
        exposures(shared),
        unit=unit,
        events=trials.events(did),
        until=UNTIL,
    )


def of(results: InterleavingResults, metric: str) -> Preference:
    return next(one for one in results.preferences if one.metric == metric)


def counts(results: InterleavingResults, metric: str) -> tuple[int, int, int]:
    one = of(results, metric)
    return one.for_second, one.for_first, one.tied


def click(sale: str, *, unit: str = "c1", at: int = 1, exposure: str | None = "x0") -> Did:
    return Did(unit=unit, kind="click", sale=sale, at=at, exposure=exposure)


def buy(sale: str, *, unit: str = "c1", at: int = 1, exposure: str | None = "x0") -> Did:
    return Did(unit=unit, sale=sale, at=at, exposure=exposure, revenue=10.0)


def test_clicks_and_purchases_are_credited_to_the_variant_of_their_place() -> None:
    """One prefers the new one by a click, one the old one by a purchase, one neither."""
    shared = [Shared(unit=unit) for unit in ("c1", "c2", "c3")]
    did = [
        click("s2"),
        buy("s1", unit="c2", exposure="x1"),
        click("s3", unit="c3", exposure="x2"),
    ]

    results = found(shared, did)

    assert (results.first, results.second) == (OLD, NEW)
    assert counts(results, "clicks") == (1, 0, 2)
    assert counts(results, "purchases") == (0, 1, 2)
    assert counts(results, "overall") == (1, 1, 1)
    assert of(results, "overall").preference.value == 0.0
    old, new = results.teams
    assert (old.name, old.places, old.clicks, old.purchases, old.revenue) == (OLD, 3, 0, 1, 10.0)
    assert (new.name, new.places, new.clicks, new.purchases, new.revenue) == (NEW, 3, 1, 0, 0.0)
    assert results.contested == pytest.approx(2 / 3)
    assert (results.answers, results.analysed) == (3, 3)


def test_an_event_of_a_clock_that_is_slow_is_credited_to_the_answer_that_it_names() -> None:
    """It cannot have happened before; one that names no answer may have."""
    shared = [Shared(unit=unit, at=HOUR_US) for unit in ("c1", "c2")]
    did = [click("s2", at=HOUR_US - 1), click("s2", unit="c2", at=HOUR_US - 1, exposure=None)]

    assert counts(found(shared, did), "clicks") == (1, 0, 1)


def test_an_event_an_hour_older_than_the_answer_it_names_is_credited_to_neither() -> None:
    shared = [Shared(at=2 * HOUR_US)]

    results = found(shared, [click("s2", at=HOUR_US)])

    assert counts(results, "clicks") == (0, 0, 1)
    assert results.left_out["events_before_their_answer"] == 1


def test_without_a_customer_to_judge_the_verdict_says_why() -> None:
    """All came within a day of the end, when their windows are not over."""
    shared = [Shared(unit=unit, at=10 * DAY_US - 1) for unit in ("c1", "c2")]

    verdict = found(shared, []).verdict

    assert verdict == "No customer can be judged yet: 2 units with an open window."


def test_purchases_decide_and_clicks_where_they_do_not() -> None:
    """Two clicks for the new one are less than a purchase of the old one."""
    shared = [Shared(teams=(OLD, NEW, NEW))]

    results = found(shared, [click("s2"), click("s3"), buy("s1")])

    assert counts(results, "clicks") == (1, 0, 0)
    assert counts(results, "overall") == (0, 1, 0)


def test_a_place_counts_its_clicks_once_and_each_purchase() -> None:
    shared = [Shared(teams=(OLD, NEW, NEW))]
    clicks = [click("s1", at=at) for at in (1, 2, 3)] + [click("s2"), click("s3")]

    results = found(shared, [*clicks, buy("s1", at=4), buy("s1", at=5), buy("s2", at=6)])

    assert counts(results, "clicks") == (1, 0, 0)
    assert counts(results, "purchases") == (0, 1, 0)


def test_an_event_that_names_an_answer_is_of_that_answer_alone() -> None:
    """The sale was the old one's in the first answer, and the new one's in the second."""
    shared = [Shared(), Shared(at=HOUR_US, teams=(NEW, OLD, None))]

    first = found(shared, [click("s1", at=2 * HOUR_US, exposure="x0")])
    second = found(shared, [click("s1", at=2 * HOUR_US, exposure="x1")])
    elsewhere = found(shared, [click("s1", at=2 * HOUR_US, exposure="another")])

    assert counts(first, "clicks") == (0, 1, 0)
    assert counts(second, "clicks") == (1, 0, 0)
    assert counts(elsewhere, "clicks") == (0, 0, 1)


def test_an_event_that_names_no_answer_is_of_the_last_that_showed_its_sale() -> None:
    shared = [Shared(), Shared(at=HOUR_US, teams=(NEW, OLD, None)), Shared(unit="c2")]

    between = found(shared, [buy("s1", at=HOUR_US - 1, exposure=None)])
    after = found(shared, [buy("s1", at=HOUR_US, exposure=None)])
    unseen = found(shared, [buy("s9", at=HOUR_US, exposure=None)])

    assert counts(between, "purchases") == (0, 1, 1)
    assert counts(after, "purchases") == (1, 0, 1)
    assert counts(unseen, "purchases") == (0, 0, 2)


def test_what_another_customer_does_with_an_answer_counts_for_neither() -> None:
    results = found([Shared(), Shared(unit="c2")], [click("s1", unit="c2", exposure="x0")])

    assert counts(results, "clicks") == (0, 0, 2)


def test_only_the_window_after_the_first_answer_counts() -> None:
    shared = [Shared(at=DAY_US), Shared(at=2 * DAY_US - 1)]

    late = found(shared, [click("s1", at=2 * DAY_US, exposure="x1")])
    inside = found(shared, [click("s1", at=2 * DAY_US - 1, exposure="x1")])
    before = found(shared, [click("s1", at=DAY_US - 1, exposure=None)])

    assert counts(late, "clicks") == (0, 0, 1)
    assert counts(inside, "clicks") == (0, 1, 0)
    assert counts(before, "clicks") == (0, 0, 1)


def test_answers_and_customers_are_left_out_with_their_reasons() -> None:
    ends_at = START + timedelta(days=9)
    shared = [
        Shared(unit="forced", is_forced=True),
        Shared(unit="early", at=-1),
        Shared(unit=None),
        Shared(unit="alone", teams=None),
        Shared(unit="late", at=8 * DAY_US + 1),
        Shared(),
    ]

    results = found(shared, [], ends_at=ends_at)

    assert results.left_out == {
        "answers_forced": 1,
        "answers_outside_its_time": 1,
        "answers_without_unit": 1,
        "answers_of_one_variant_alone": 1,
        "units_too_late_for_a_whole_window": 1,
        "units_with_an_open_window": 0,
        "events_before_their_answer": 0,
    }
    assert (results.answers, results.analysed) == (2, 1)
    assert found([Shared(at=10 * DAY_US - HOUR_US)], []).left_out["units_with_an_open_window"] == 1


def test_devices_are_credited_by_the_answers_that_their_events_name() -> None:
    results = found([Shared(unit="d1")], [click("s2", unit="whoever")], unit=Unit.DEVICE)

    assert counts(results, "clicks") == (1, 0, 0)


def test_returned_purchases_count_for_neither() -> None:
    refund = Did(kind="refund", sale="s1", at=5, revenue=10.0)

    results = found([Shared()], [buy("s1"), refund])

    assert counts(results, "purchases") == (0, 0, 1)


def test_exposures_of_an_earlier_version_are_refused_by_name() -> None:
    earlier = exposures([Shared()]).drop("interleaving")

    with pytest.raises(ExposureError, match="lack the column interleaving: results of trial"):
        interleaving_results(experiment(), earlier, unit=Unit.CUSTOMER, events=trials.events([]))


def test_coins_count_who_stands_above_in_each_pair() -> None:
    """Pairs: old over new; behind a common sale new over old; and an odd end of the new one."""
    sales = tuple(f"s{number}" for number in range(6))
    shared = [Shared(teams=(OLD, NEW, None, NEW, OLD, NEW), sales=sales)]

    coins = found(shared, []).coins

    assert coins.observed == {OLD: 1, NEW: 2}
    assert not coins.alarm


def test_coins_that_are_no_chance_are_an_alarm_before_any_verdict() -> None:
    shared = [Shared(unit=f"c{number}", teams=(OLD, NEW, None)) for number in range(20)]

    results = found(shared, [click("s2")])

    assert results.coins.alarm
    assert results.verdict.startswith("Not valid: old stands above in 20 pairs and new in 0")


def test_coins_are_judged_at_every_look() -> None:
    """22 of 25: one fixed test says 0.00014, which is an alarm; one of every look does not."""
    teams = [(OLD, NEW, None)] * 22 + [(NEW, OLD, None)] * 3
    shared = [Shared(unit=f"c{number}", teams=one) for number, one in enumerate(teams)]

    coins = found(shared, []).coins

    assert coins.chi_square == pytest.approx(19**2 / 25)
    assert 5e-4 < coins.p_value < 1
    assert not coins.alarm


def test_the_verdict_is_that_of_the_latest_look() -> None:
    """Forty customers for the new one on the first day stay in the p-value; then 40 differ."""
    teams = [(OLD, NEW, None), (NEW, OLD, None)]
    shared = [Shared(unit=f"c{n}", teams=teams[n % 2], at=n // 40 * DAY_US) for n in range(80)]
    did = [
        # Both teams stand above in every second slate.
        click("s2" if (n < 40) == (n % 2 == 0) else "s1", unit=f"c{n}", exposure=f"x{n}", at=at + 1)
        for n, at in enumerate(one.at for one in shared)
    ]

    first_day, both = found(shared[:40], did[:40]), found(shared, did)

    assert first_day.verdict.startswith("Customers prefer new to old: of 40")
    assert both.preferences[0].safe_p_value < 1e-6
    assert both.verdict.startswith(
        "Cannot tell yet: of 80 who credited one more, 40 credited new; preference +0.0% ["
    )


def test_the_verdict_is_in_words() -> None:
    """Thirty customers for the new one: 1 - 3.170 / sqrt(30) is 42.1%."""
    pairs = [((OLD, NEW, None), "s2"), ((NEW, OLD, None), "s1")]
    shared = [Shared(unit=f"c{n}", teams=pairs[n % 2][0]) for n in range(30)]
    did = [click(pairs[n % 2][1], unit=f"c{n}", exposure=f"x{n}") for n in range(30)]

    assert found(shared, []).verdict == "No customer has preferred new or old so far."
    assert found(shared, did[:2]).verdict == (
        "Cannot tell yet: of 2 who credited one more, 2 credited new; preference +100.0% "
        "[-100.0%, +100.0%], safe at every look."
    )
    assert found(shared, did).verdict == (
        "Customers prefer new to old: of 30 who credited one more, 30 credited new; "
        "preference for new +100.0% [+42.1%, +100.0%], safe at every look."
    )


def test_an_interval_is_the_share_that_is_credited_more_and_its_safe_width() -> None:
    found = preference_interval(60, 40, planned_units=100)

    half = sequential_width(100, planned_units=100) / 10
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert preference_interval(0, 0, planned_units=100).value is None


def test_customers_count_on_the_day_on_which_their_window_ends() -> None:
    days = np.array([0, 0, 2, 2, 3])
    margins = np.array([3, -1, 1, 1, 0])
    calendar = Calendar(START, START + timedelta(days=4), DAY_US)

    one = preference("clicks", margins, days=days, calendar=calendar, planned_units=100)

    assert [(look.until, look.n_deciding, look.preference.value) for look in one.looks] == [
        (START + timedelta(days=1), 2, 0.0),
        (START + timedelta(days=3), 4, 0.5),
    ]
    assert (one.for_second, one.for_first, one.tied) == (3, 1, 1)


@pytest.mark.parametrize(("n", "is_found"), [(9, False), (10, True)])
def test_the_p_value_falls_below_the_level_where_the_interval_excludes_no_preference(
    n: int, is_found: bool
) -> None:
    """All prefer one: the interval excludes 0 where n exceeds the squared width, which is 9.21."""
    calendar = Calendar(START, START + timedelta(days=1), DAY_US)
    every = np.ones(n, dtype=np.int64)

    one = preference("clicks", every, days=0 * every, calendar=calendar, planned_units=n)

    width = sequential_width(n, planned_units=n)
    assert (math.sqrt(n) > width) == is_found == (one.safe_p_value < 0.05)
    assert one.preference.low is not None
    assert (one.preference.low > 0) == is_found


def test_the_smallest_p_value_of_all_looks_is_kept() -> None:
    calendar = Calendar(START, START + timedelta(days=2), DAY_US)
    margins, days = np.repeat([1, -1], 40), np.repeat([0, 1], 40)

    one = preference("clicks", margins, days=days, calendar=calendar, planned_units=40)

    assert one.preference.value == 0.0
    assert one.safe_p_value < 1e-6
