"""The design of experiments, from data before their start."""

import math
from datetime import timedelta

import numpy as np
import pytest

from models.dataset.events import EventTable
from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.design import Design, NoBaselineError, design
from models.experiments.analysis.estimate import WIDTH
from models.experiments.analysis.sequential_test import sequential_width
from models.experiments.plan.experiment import Experiment, Unit
from tests.trials import DAY_US, START, Did, buyers, event_columns, events, two_arms

RULES = {"window_hours": 24, "before_days": 7}
DAYS = 28
PER_DAY = 50


def history(
    rng: np.random.Generator, *, share: float = 0.2, exposure: str | None = None
) -> EventTable:
    """Fifty new customers view something on each of 30 days; some buy a minute later."""
    did: list[Did] = []
    for day in range(-30, 0):
        for number in range(PER_DAY):
            unit, at = f"c{day}-{number}", day * DAY_US + 1_000
            did.append(Did(unit=unit, kind="view", at=at))
            if rng.random() < share:
                bought_at = at + 60_000_000
                did.append(Did(unit=unit, at=bought_at, revenue=100.0, exposure=exposure))
    return events([*did, Did(unit="late", kind="view", at=0)])


def planned(
    known: EventTable, *, lift: float = 0.5, held_out: float = 0.0, **fields: object
) -> Design:
    experiment = Experiment.model_validate({**dict(two_arms(results=RULES)), **fields})
    return design(experiment, known, unit=Unit.CUSTOMER, wanted_lift=lift, held_out=held_out)


def test_units_of_the_baseline_are_counted_by_day(rng: np.random.Generator) -> None:
    """Its 28 days end a window before the start, so the last of the log are not among them."""
    found = planned(history(rng))

    assert found.units_by_day == tuple(PER_DAY * day for day in range(1, DAYS + 1))
    assert found.baseline_until == START - timedelta(days=1)


def test_only_part_of_the_units_takes_part(rng: np.random.Generator) -> None:
    found = planned(history(rng), traffic=[{"start": 0, "stop": 2_000}])

    assert found.units_by_day[-1] == PER_DAY * DAYS // 5


def test_those_held_out_take_no_part(rng: np.random.Generator) -> None:
    assert planned(history(rng), held_out=0.1).units_by_day[-1] == PER_DAY * DAYS * 9 // 10


def test_sizes_follow_from_the_mean_and_variance_of_what_was_bought(
    rng: np.random.Generator,
) -> None:
    """16 p (1 - p) / (p lift)^2 units a variant, by the rule of thumb: 15.7 exactly at one look.

    The boundary of all looks lies at 3.0354 standard errors instead of 1.96.
    """
    found = planned(history(rng)).sizes[0]

    p, n = found.mean, PER_DAY * DAYS
    assert p == pytest.approx(0.2, abs=0.04)
    assert found.variance == pytest.approx(p * (1 - p) * n / (n - 1))
    at_one_look = 2 * 15.698 * found.variance / (0.5 * p) ** 2
    wanted = at_one_look * ((3.035447 + 0.841621) / 2.801585) ** 2
    assert found.required_units_at_one_look == math.ceil(at_one_look)
    assert found.required_units == found.planned_units == math.ceil(wanted)
    assert found.minimum_days == math.ceil(wanted / PER_DAY / 7) * 7
    at_28 = found.detectable_lift[28]
    assert at_28 == pytest.approx(3.87707 * math.sqrt(4 * found.variance / n) / p, rel=1e-4)


def test_the_planned_units_show_the_lift_to_the_verdict_and_to_one_look(
    rng: np.random.Generator,
) -> None:
    """In four of five experiments of such customers, by the interval of each."""
    lift, n_experiments = 0.2, 400
    size = planned(history(rng), lift=lift).sizes[0]
    assert size.required_units is not None
    assert size.required_units_at_one_look is not None

    def power(n_units: int, width: float) -> float:
        bought = rng.binomial(n_units // 2, [size.mean * (1 + lift), size.mean], (n_experiments, 2))
        scores = [
            Contrast.from_moments(*(buyers(n, of=n_units // 2) for n in pair), is_share=True)
            for pair in bought.tolist()
        ]
        return float(np.mean([one.z_score() > width for one in scores]))

    always = sequential_width(size.required_units, planned_units=size.required_units)
    off = 4 * math.sqrt(0.8 * 0.2 / n_experiments)
    assert power(size.required_units, always) == pytest.approx(0.8, abs=off)
    assert power(size.required_units_at_one_look, WIDTH) == pytest.approx(0.8, abs=off)


def test_a_lift_that_four_weeks_cannot_show_has_no_duration(rng: np.random.Generator) -> None:
    assert planned(history(rng), lift=0.01).sizes[0].minimum_days is None


def test_where_nothing_was_bought_nothing_can_be_planned(rng: np.random.Generator) -> None:
    found = planned(history(rng, share=0.0)).sizes[0]

    assert found.required_units is None
    assert set(found.detectable_lift.values()) == {None}


def test_an_interleaving_needs_units_who_click_or_buy(rng: np.random.Generator) -> None:
    """A lift of a half is a preference of 0.5 / 2.5, which 375.7 deciding customers show.

    The boundary lies at 3.0354 standard errors where it is tightest, and 0.8416 more give 80%.
    """
    found = planned(history(rng, exposure="x1"))

    share = found.sizes[0].mean  # those who buy, as there are no clicks
    twice = 2 * math.log(20)
    v = twice + math.log(twice) + 1
    boundary = math.sqrt(2 * (v + 1) / v * math.log(20 * math.sqrt(v + 1)))
    assert boundary == pytest.approx(3.0354, abs=5e-5)
    assert found.interleaving.preference == 0.2
    assert found.interleaving.deciding_share == pytest.approx(share)
    wanted = math.ceil(((boundary + 0.841621) / 0.2) ** 2 / share)
    assert found.interleaving.required_units == wanted
    assert found.interleaving.minimum_days is None  # more than 28 days of 50 units


def test_a_click_or_purchase_that_names_no_answer_decides_no_interleaving(
    rng: np.random.Generator,
) -> None:
    """Whether an answer showed what was bought is not known before the experiment."""
    found = planned(history(rng)).interleaving

    assert (found.deciding_share, found.required_units, found.minimum_days) == (0.0, None, None)


def test_clicks_decide_an_interleaving_too_within_the_window() -> None:
    """Half of the units click a minute after their first event; others only a day later."""
    did = [
        Did(unit=f"c{day}-{n}", kind="view", at=day * DAY_US)
        for day in range(-30, 0)
        for n in range(10)
    ]
    after = {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: DAY_US}
    did += [
        Did(unit=f"c{day}-{n}", kind="click", at=day * DAY_US + later, exposure="x1")
        for day in range(-29, 0)
        for n, later in after.items()
    ]
    known = events([*did, Did(unit="late", kind="view", at=0)])

    assert planned(known).interleaving.deciding_share == 0.5


def test_an_interleaving_is_planned_beside_an_even_test(rng: np.random.Generator) -> None:
    known = history(rng, exposure="x1")
    teams = [{"name": "control"}, {"name": "treatment"}]

    found = planned(known, kind="interleaving", variants=teams)

    assert found.sizes == planned(known).sizes
    assert found.interleaving == planned(known).interleaving


def test_only_the_audience_is_counted() -> None:
    at = np.arange(-30, 1, dtype=np.int64) * DAY_US
    markets = ["fr" if number % 2 else "de" for number in range(len(at))]
    known = event_columns(
        [f"c{number}" for number in range(len(at))],
        at=at,
        type=["view"] * len(at),
        market=markets,
    )

    assert planned(known, audience={"markets": ["FR"]}).units_by_day[-1] == 14
    assert planned(known).units_by_day[-1] == 28


def test_a_shop_of_five_days_is_planned_from_them(rng: np.random.Generator) -> None:
    """A window of a day before the start, four days of fifty units remain."""
    did = [
        Did(unit=f"c{day}-{n}", kind="view" if rng.random() < 0.5 else "purchase", at=day * DAY_US)
        for day in range(-5, 0)
        for n in range(PER_DAY)
    ]

    found = planned(events([*did, Did(unit="late", kind="view", at=0)]))

    assert found.units_by_day == (50, 100, 150, 200)
    assert found.baseline_from == START - timedelta(days=5)
    assert found.baseline_until == START - timedelta(days=1)
    assert list(found.sizes[0].detectable_lift) == [4]


def test_too_short_a_history_is_refused(rng: np.random.Generator) -> None:
    known = events([Did(at=-DAY_US), Did(unit="c2", at=-DAY_US), Did(at=0)])

    covered = "events cover 2026-03-01 00:00 to 2026-03-02 00:00 UTC"
    with pytest.raises(NoBaselineError, match=covered) as refused:
        planned(known)
    assert "there are 0 days with 0 units" in str(refused.value)
    with pytest.raises(NoBaselineError, match="cannot be planned: there are no events"):
        planned(events([]))
    with pytest.raises(NoBaselineError, match="assigns devices"):
        design(two_arms(), history(rng), unit=Unit.DEVICE, wanted_lift=0.1)
