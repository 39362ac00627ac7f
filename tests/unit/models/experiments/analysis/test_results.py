"""Whose purchases count for whom, what is left out, and what the results say."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.experiments.analysis.exploration_price import ExplorationPrice
from models.experiments.analysis.guardrail import Guardrail, State
from models.experiments.analysis.results import Results, VariantResult, experiment_results
from models.experiments.analysis.sequential_test import always_valid_p
from models.experiments.exposure import ExposureError, read_exposures
from models.experiments.plan.experiment import Unit
from models.experiments.plan.rules import Rules
from tests import reference
from tests.trials import DAY_US, HOUR_US, START, Answer, Did, events, exposures, two_arms

UNTIL = START + timedelta(days=13)
RULES = Rules(window_hours=24, before_days=7)
TRIAL = two_arms(results=RULES.model_dump())
PAIR = [Answer(unit="c1"), Answer(unit="c2", variant="treatment")]


def results(
    answers: Sequence[Answer],
    did: Sequence[Did] = (),
    *,
    unit: Unit = Unit.CUSTOMER,
    until: datetime | None = UNTIL,
) -> Results:
    return experiment_results(
        TRIAL,
        exposures(answers),
        unit=unit,
        events=events(did),
        until=until,
    )


def of(found: Results, variant: str) -> VariantResult:
    return next(one for one in found.variants if one.name == variant)


def value(found: Results, variant: str, metric: str) -> float | None:
    return of(found, variant).metrics[metric].value


def guardrail(found: Results, name: str) -> Guardrail:
    return next(one for one in found.guardrails if one.name == name)


def many(n: int, variant: str, **fields: Any) -> list[Answer]:  # noqa: ANN401 - any of its fields
    return [Answer(unit=f"{variant}-{i}", variant=variant, **fields) for i in range(n)]


def test_a_purchase_counts_for_the_variant_that_its_customer_saw() -> None:
    found = results(PAIR, [Did(unit="c2", at=HOUR_US, revenue=120.0)])

    assert value(found, "treatment", "conversion") == 1.0
    assert value(found, "treatment", "revenue") == 120.0
    assert value(found, "control", "conversion") == 0.0


def test_a_share_has_wilsons_interval_and_few_purchases_have_none() -> None:
    """None of 502 is 0 to ``z^2 / (n + z^2)``; one of 506 by the formula."""
    answers = many(502, "control") + many(506, "treatment")

    found = results(answers, [Did(unit="treatment-1", at=1, revenue=300.0)])

    z = 1.959963984540054
    none = of(found, "control").metrics["conversion"]
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(z**2 / (502 + z**2))
    one = of(found, "treatment").metrics["conversion"]
    half = z * math.sqrt(505 / 506**3 + z**2 / (4 * 506**2))
    assert one.low == pytest.approx((1 / 506 + z**2 / (2 * 506) - half) / (1 + z**2 / 506))
    assert one.high == pytest.approx((1 / 506 + z**2 / (2 * 506) + half) / (1 + z**2 / 506))
    paid = of(found, "treatment").metrics["revenue_per_purchase"]
    assert (paid.value, paid.low, paid.high) == (300.0, None, None)
    for one in found.comparisons:
        assert one.lift.value is None
        assert one.no_lift == f"{one.metric} of control is not above 0 beyond chance"


def test_a_mean_has_an_interval_from_25_purchases_on() -> None:
    """Of 100 units 25 pay 10: 2.5 ± 1.96 * 10 sqrt(1/4 * 3/4 / 99)."""
    found = results(
        many(100, "control") + many(100, "treatment"),
        [Did(unit=f"control-{n}", at=1, revenue=10.0) for n in range(25)]
        + [Did(unit=f"treatment-{n}", at=1, revenue=10.0) for n in range(24)],
    )

    revenue = of(found, "control").metrics["revenue"]
    assert revenue.low == pytest.approx(2.5 - 19.59963984540054 * math.sqrt(3 / 16 / 99))
    assert of(found, "treatment").metrics["revenue"].low is None


def test_each_row_of_pages_has_what_was_shown_clicked_and_bought_in_it() -> None:
    """A row without sales is asked for and not filled; events of other answers do not count."""
    rows = (("first", 2), ("empty", 0), ("last", 1))
    pages = [
        Answer(unit=f"c{n}", variant="treatment", sales=("s1", "s2", "s3"), rows=rows)
        for n in range(2)
    ]
    did = [
        Did(unit="c0", at=HOUR_US, kind="click", sale="s3", exposure="x0"),
        Did(unit="c0", at=HOUR_US, kind="click", sale="s3", exposure="x0"),
        Did(unit="c1", at=HOUR_US, kind="click", sale="s1", exposure="x1"),
        Did(unit="c1", at=HOUR_US, kind="purchase", sale="s1", exposure="x1"),
        Did(unit="c1", at=HOUR_US, kind="click", sale="s2", exposure="x9"),
    ]

    found = results([*pages, Answer(unit="c2")], did)

    assert of(found, "control").rows == ()
    first, empty, last = of(found, "treatment").rows
    assert (first.row, first.pages, first.filled, first.shown) == ("first", 2, 2, 4)
    assert (first.clicked, first.bought, first.click_rate.value) == (1, 1, 0.25)
    assert (empty.pages, empty.filled, empty.shown, empty.click_rate.value) == (2, 0, 0, None)
    assert (last.shown, last.clicked, last.bought, last.click_rate.value) == (2, 1, 0, 0.5)


@pytest.mark.parametrize(("minutes", "n"), [(-60, 0), (-6, 0), (-5, 1), (0, 1)])
@pytest.mark.parametrize("unit", [Unit.CUSTOMER, Unit.DEVICE])
def test_an_event_that_is_older_than_the_answer_it_names_does_not_follow_from_it(
    minutes: int, n: int, unit: Unit
) -> None:
    """Clocks may differ by the five minutes that the service accepts events ahead of its own."""
    at = DAY_US + minutes * 60_000_000
    did = [Did(at=at, exposure="x0"), Did(at=at, kind="click", exposure="x0")]

    found = results([Answer(at=DAY_US), Answer(unit="c2")], did, unit=unit)

    assert value(found, "control", "purchases") == n / 2
    assert value(found, "control", "clicks_per_answer") == n / 2
    assert found.left_out["events_before_their_answer"] == 2 * (1 - n)


def test_an_event_older_than_the_answer_it_names_counts_by_its_time() -> None:
    """Between the customer's two answers, of which it names the second."""
    answers = [Answer(), Answer(at=2 * HOUR_US)]
    did = [Did(at=HOUR_US, exposure="x1"), Did(at=HOUR_US, kind="click", exposure="x1")]

    found = results(answers, did)

    assert value(found, "control", "purchases") == 1.0
    assert value(found, "control", "clicks_per_answer") == 0.0


def test_a_customer_known_by_the_guest_who_was_there_first_keeps_their_variant() -> None:
    """The customer's own purchases before the merge are no outcome of the guest."""
    as_guest = Answer(unit="v1", variant="treatment")
    merged = Answer(unit="v1", customer="c1", variant="treatment", at=2 * HOUR_US)
    did = [Did(unit="c1", at=HOUR_US, revenue=7.0), Did(unit="c1", at=3 * HOUR_US, revenue=120.0)]

    found = results([as_guest, merged, Answer(unit="c2")], did)

    assert of(found, "treatment").assigned == 1
    assert value(found, "treatment", "revenue") == 120.0


@pytest.mark.parametrize(("at", "counts"), [(-1, 0), (0, 1), (DAY_US - 1, 1), (DAY_US, 0)], ids=str)
def test_a_purchase_counts_from_the_first_exposure_to_before_the_windows_end(
    at: int, counts: int
) -> None:
    found = results([Answer(at=DAY_US), Answer(at=DAY_US + HOUR_US)], [Did(at=DAY_US + at)])

    assert value(found, "control", "purchases") == counts


def test_revenue_is_what_was_paid_or_else_price_times_quantity() -> None:
    did = [
        Did(revenue=100.0, price=60.0, quantity=2),
        Did(price=60.0, quantity=2),
        Did(price=60.0),
        Did(),
    ]

    found = results([Answer()], did)

    assert value(found, "control", "revenue") == 280.0
    assert value(found, "control", "revenue_per_purchase") == 70.0
    assert found.unpriced_purchases == 1


def test_clicks_on_answers_are_divided_by_answers_not_by_units() -> None:
    answers = [Answer(unit="c1", at=i) for i in range(3)] + [Answer(unit="c2")]

    did = [
        Did(kind="click", at=5, exposure="x1"),
        Did(kind="click", unit="c2", at=5, exposure="x3"),
        Did(kind="click", at=6, exposure="of-another-page"),
        Did(kind="click", at=6),
    ]

    found = results(answers, did)

    assert value(found, "control", "clicks_per_answer") == 0.5


def test_a_session_gets_only_what_was_bought_in_it() -> None:
    answers = [Answer(unit="v1"), Answer(unit="v2", variant="treatment")]

    found = results(answers, [Did(session="v2", at=1), Did(at=1)], unit=Unit.SESSION)

    assert value(found, "control", "purchases") == 0.0
    assert value(found, "treatment", "purchases") == 1.0


def test_a_device_gets_what_refers_to_its_answers() -> None:
    answers = [Answer(unit="d1"), Answer(unit="d2", variant="treatment")]
    did = [Did(exposure="x1", at=1), Did(unit="d1", at=1)]

    found = results(answers, did, unit=Unit.DEVICE)

    assert value(found, "control", "purchases") == 0.0
    assert value(found, "treatment", "purchases") == 1.0


def test_what_is_left_out_is_counted() -> None:
    answers = [
        *PAIR,
        Answer(unit="f", is_forced=True),
        Answer(unit="early", at=-1),
        Answer(unit="late", at=14 * DAY_US),
        Answer(unit=None),
        Answer(unit="other", experiment="another"),
        Answer(unit="small", share_bp=1_000),
        Answer(unit="both"),
        Answer(unit="both", variant="treatment", at=1),
        Answer(unit="blind", sales=()),
        Answer(unit="open", at=13 * DAY_US - HOUR_US),
        Answer(unit="last", at=13 * DAY_US + 1),
    ]

    found = results(answers, until=START + timedelta(days=13, hours=12))

    assert found.left_out == {
        "answers_forced": 1,
        "answers_outside_its_time": 2,
        "answers_without_unit": 1,
        "units_under_other_shares": 1,
        "units_in_two_variants": 1,
        "units_never_shown_a_sale": 1,
        "units_too_late_for_a_whole_window": 1,
        "units_with_an_open_window": 1,
        "events_before_their_answer": 0,
    }
    control = of(found, "control")
    assert (control.assigned, control.exposed, control.analysed) == (5, 3, 1)
    assert found.sample_ratio.observed == {"control": 5, "treatment": 1}
    assert found.analysed_ratio.observed == {"control": 1, "treatment": 1}


def test_who_was_never_shown_a_sale_is_assigned_and_not_exposed() -> None:
    """The first answer that shows one is the exposure; what was bought before is not owed to it."""
    answers = [Answer(sales=()), Answer(at=2 * HOUR_US)]

    found = results(answers, [Did(at=HOUR_US), Did(at=3 * HOUR_US)])

    assert value(found, "control", "purchases") == 1.0


def test_figures_of_customers_are_those_of_a_welch_test(rng: np.random.Generator) -> None:
    n = 400
    paid = {v: rng.gamma(2.0, 50.0, size=n) for v in ("control", "treatment")}
    did = [Did(unit=f"{v}-{i}", at=1, revenue=float(paid[v][i])) for v in paid for i in range(n)]

    found = results(many(n, "control") + many(n, "treatment"), did)

    one = next(c for c in found.comparisons if c.metric == "revenue")
    difference = paid["treatment"].mean() - paid["control"].mean()
    assert one.difference.value == pytest.approx(difference)
    assert one.lift.value == pytest.approx(difference / paid["control"].mean())
    assert one.p_value == pytest.approx(
        reference.welch(paid["treatment"], paid["control"]), rel=0.02
    )
    assert one.variance_reduction == 0.0
    assert of(found, "control").metrics["revenue"].value == pytest.approx(paid["control"].mean())


def test_a_covariate_takes_out_what_units_were_before(rng: np.random.Generator) -> None:
    """Who spends like the week before: the squared correlation is all but 1."""
    n = 300
    did: list[Did] = []
    for variant in ("control", "treatment"):
        for i, before in enumerate(rng.gamma(2.0, 50.0, size=n)):
            after = float(before * 1.1 if variant == "treatment" else before)
            unit = f"{variant}-{i}"
            did += [
                Did(unit=unit, at=-DAY_US, revenue=float(before)),
                Did(unit=unit, at=1, revenue=after),
                Did(unit=unit, at=-8 * DAY_US, revenue=float(rng.gamma(2.0, 500.0))),
            ]

    found = results(many(n, "control") + many(n, "treatment"), did)

    one = next(c for c in found.comparisons if c.metric == "revenue")
    assert one.variance_reduction > 0.99
    assert one.lift.value == pytest.approx(0.1, abs=0.01)
    assert one.lift.low is not None
    assert one.unadjusted_lift.low is not None
    assert one.lift.low > 0.08
    assert one.unadjusted_lift.low < 0.05


def test_a_look_knows_the_units_whose_window_was_over(rng: np.random.Generator) -> None:
    """150 units of each variant a day; the first windows of 24 h end with the second day."""
    answers = [
        Answer(unit=f"{v}-{d}-{i}", variant=v, at=d * DAY_US + HOUR_US)
        for v in ("control", "treatment")
        for d in range(3)
        for i in range(150)
    ]
    did = [
        Did(unit=one.unit or "", at=one.at + 1, revenue=float(rng.gamma(2.0)))
        for one in answers
        if rng.random() < 0.5
    ]

    found = results(answers, did, until=START + timedelta(days=4))

    looks = found.comparisons[0].looks
    assert [look.n_units for look in looks] == [300, 600, 900, 900]
    assert looks[0].until == START + timedelta(days=2)
    assert found.comparisons[0].safe_lift == looks[-1].lift


def test_the_safe_p_value_remembers_its_smallest() -> None:
    """On the first day only half of the treated buy, on the second it is turned.

    75 of 150 against none: the pooled share is 1/4, and z = 0.5 / sqrt(3/16 * 300/299 / 75).
    """
    answers = [
        Answer(unit=f"{v}-{d}-{i}", variant=v, at=d * DAY_US)
        for v in ("control", "treatment")
        for d in range(2)
        for i in range(150)
    ]
    buyers = {"treatment-0": 0, "control-1": DAY_US}
    did = [Did(unit=f"{who}-{i}", at=at) for who, at in buyers.items() for i in range(0, 150, 2)]

    found = results(answers, did).comparisons[0]

    assert found.lift.value == pytest.approx(0.0)
    z = 0.5 / math.sqrt(3 / 16 * 300 / 299 / 75)
    first = always_valid_p(z, 300, planned_units=RULES.planned_units)
    assert found.safe_p_value == pytest.approx(first)
    # Of five metrics revenue per purchase cannot be compared, and purchases are as conversion.
    assert found.adjusted_p_value == pytest.approx(5 * first)


def test_a_safe_interval_holds_the_fixed_one(rng: np.random.Generator) -> None:
    did = [
        Did(unit=f"{v}-{i}", at=1)
        for v in ("control", "treatment")
        for i in range(200)
        if rng.random() < 0.3
    ]

    found = results(many(200, "control") + many(200, "treatment"), did)

    one = found.comparisons[0]
    assert one.safe_lift.low is not None
    assert one.safe_lift.high is not None
    assert one.lift.low is not None
    assert one.lift.high is not None
    assert one.safe_lift.low < one.lift.low < one.lift.high < one.safe_lift.high


def test_nobody_looks_before_a_hundred_units_of_each() -> None:
    found = results(many(100, "control") + many(99, "treatment"))

    assert found.comparisons[0].looks == ()
    assert found.comparisons[0].safe_p_value == 1.0


def test_a_variant_that_loses_units_is_an_alarm() -> None:
    found = results(many(500, "control") + many(300, "treatment"))

    assert found.sample_ratio.alarm
    assert found.sample_ratio.observed == {"control": 500, "treatment": 300}


def test_a_variant_that_falls_back_breaches_its_guardrail() -> None:
    bad = many(300, "treatment", degraded="popular")

    found = results(many(300, "control") + bad)

    assert guardrail(found, "degraded").state is State.BREACHED
    assert guardrail(found, "degraded").change.value == 1.0


def test_a_variant_that_is_slow_breaches_its_guardrail(rng: np.random.Generator) -> None:
    answers = [
        Answer(unit=f"{v}-{i}", variant=v, took_us=int(mean * rng.uniform(0.9, 1.1)))
        for v, mean in (("control", 10_000), ("treatment", 15_000))
        for i in range(200)
    ]

    found = results(answers)

    assert guardrail(found, "latency").state is State.BREACHED
    assert guardrail(found, "latency").change.value == pytest.approx(0.5, abs=0.02)
    fast = of(found, "control").latency
    assert fast is not None
    assert 9 < fast.p50_ms < fast.p95_ms < 11


def test_guardrails_are_open_before_a_hundred_units_of_each() -> None:
    """The last of 99 answers of the treatment took ten times as long, and was degraded."""
    slow = Answer(unit="slow", variant="treatment", took_us=50_000, degraded="popular")
    usual = many(99, "control", took_us=5_000) + many(98, "treatment", took_us=5_000)

    found = results([*usual, slow])

    for name in ("degraded", "latency"):
        change = guardrail(found, name).change
        assert change.value is not None, name
        assert (change.low, change.high) == (None, None)
        assert guardrail(found, name).state is State.OPEN


def test_a_latency_that_no_record_says_is_no_guardrail() -> None:
    found = results(PAIR)

    assert of(found, "control").latency is None
    assert {one.name for one in found.guardrails} == {"degraded", "coverage"}


def test_the_price_of_exploration_is_of_all_answers_of_a_variant() -> None:
    """Two of the control's four answers were changed: one loses 0.03, the other gains 0.01."""
    costs = [0.03, None, -0.01, None]
    answers = [Answer(unit="a", at=at, cost=cost) for at, cost in enumerate(costs)]
    answers.append(Answer(unit="b", variant="treatment"))

    found = results(answers)

    price, other = of(found, "control").exploration, of(found, "treatment").exploration
    assert price is not None
    assert (price.answers, price.lost_per_1000) == (2, pytest.approx(5.0))
    assert other == ExplorationPrice(answers=0, lost_per_1000=0.0)


def test_coverage_is_compared_over_equally_many_answers() -> None:
    """Two of the control's three answers show 4 sales, the treatment's two only 2."""
    answers = [
        Answer(unit="a", at=0, sales=("s1", "s2")),
        Answer(unit="b", at=1, sales=("s3", "s4")),
        Answer(unit="c", at=2, sales=("s5", "s6")),
        Answer(unit="d", at=0, sales=("s1", "s2"), variant="treatment"),
        Answer(unit="e", at=1, sales=("s2", "s1"), variant="treatment"),
    ]

    found = guardrail(results(answers), "coverage")

    assert found.control_value == pytest.approx(4)
    assert found.variant_value == pytest.approx(2)
    assert found.change.value == pytest.approx(-0.5)
    assert found.state is State.OPEN


@pytest.mark.parametrize(("pool", "state"), [(200, State.HELD), (100, State.BREACHED)])
def test_coverage_that_is_lost_for_certain_is_breached(
    pool: int, state: State, rng: np.random.Generator
) -> None:
    """A fifth may be lost; of 100 sales instead of 200 at most half of all are shown."""
    answers = [
        Answer(unit=f"{v}-{i}", variant=v, at=i, sales=tuple(map(str, rng.integers(0, n, size=4))))
        for v, n in (("control", 200), ("treatment", pool))
        for i in range(400 if v == "control" else 300)
    ]

    found = guardrail(results(answers), "coverage")

    # Of 300 answers with 4 draws each: each of n sales is missed by (1 - 1/n)^1200.
    assert found.control_value == pytest.approx(200 * (1 - (1 - 1 / 200) ** 1200), rel=0.02)
    assert found.state is state


def test_an_experiment_without_answers_has_results() -> None:
    found = results([Answer(experiment="another")], until=None)

    assert of(found, "control").analysed == 0
    assert of(found, "control").exploration is None
    assert of(found, "control").largest_revenue_share is None
    assert found.comparisons[0].lift.value is None
    said = "No unit was assigned: no exported answer is of this experiment."
    assert [one.text for one in found.verdicts] == [said]
    assert not found.sample_ratio.alarm


def test_results_end_with_the_latest_that_is_known() -> None:
    found = results([Answer(at=5)], [Did(at=DAY_US)], until=None)

    assert found.until == START + timedelta(days=1, microseconds=1)
    assert of(found, "control").analysed == 0


def test_results_are_json_and_back() -> None:
    found = results(many(150, "control") + many(150, "treatment"), [Did(unit="control-1", at=1)])

    assert Results.model_validate_json(found.model_dump_json()) == found


def test_exposures_without_a_column_say_which() -> None:
    with pytest.raises(ExposureError, match="exposures lack the columns slate: results of trial"):
        experiment_results(
            two_arms(), exposures(PAIR).drop("slate"), unit=Unit.CUSTOMER, events=events([])
        )


def test_a_directory_without_exposures_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ExposureError, match=r"exposures.parquet is not there: `python -m app export-events` writes"
    ):
        read_exposures(tmp_path)


@pytest.mark.parametrize("asked", [{"columns": ["absent"]}, {"where": pl.col("absent") > 0}])
def test_a_needed_column_that_is_absent_is_named(tmp_path: Path, asked: dict[str, Any]) -> None:
    exposures(PAIR).write_parquet(tmp_path / "exposures.parquet")

    with pytest.raises(ExposureError, match=r"export-events: .*absent"):
        read_exposures(tmp_path, **asked)


def test_exposures_are_read_back(tmp_path: Path) -> None:
    exposures(PAIR).write_parquet(tmp_path / "exposures.parquet")

    found = read_exposures(tmp_path, ["customer_id"], optional=["absent", "now"])
    assert found.columns == ["customer_id", "now"]
    is_first = pl.col("recommendation_id") == exposures(PAIR)["recommendation_id"][0]
    assert read_exposures(tmp_path, ["now"], where=is_first).height == 1
    assert read_exposures(tmp_path)["now"].to_list() == [datetime(2026, 3, 2, tzinfo=UTC)] * 2
