"""A shop learns from lists that its own bundles ordered."""

import math
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from models.dataset.reading import read_dataset
from models.slate.slate_policy import SlatePolicy, usual_exploration
from tests.end_to_end.in_process import run_here
from tests.proofs import FULL_SCALE, Proof
from tests.worlds import TINY_SEED, Silent, again
from training.configuration import RunConfig
from training.nightly.comparison import BundleComparison
from training.nightly.own_answers import recorded_slates
from training.pipeline.training_data import cut
from training.ranker.fit_ranker import TooFewPurchasesError
from training.simulator.logging_policy import LoggedSlates
from training.simulator.parameters import DAY_US, WORLDS
from training.simulator.simulation import Asked, Shop
from training.studies.closed_loop import Loop, run_loop, served_by
from training.studies.loop_figures import Day, figures_of, missed_bounds, weeks_of
from training.studies.loop_nights import LoopNight
from training.studies.loop_service import LoopService, Moment, Ranked

END: Final = datetime(2026, 11, 20, tzinfo=UTC)
SMALL: Final = replace(WORLDS["standard"], n_types=100, sales_per_day=10.0, scenes_per_category=2)
# Fewer open sales and types than the real worlds, and frequent purchases: so the few visits that a
# proof can afford hold 600 before the first night. What the loop does depends on none of these.
SHOP: Final = replace(SMALL, n_types=500, scenes_per_category=8, buy_intercept=-1.0)
LOOP: Final = Loop(
    parameters=replace(SHOP, visits=17.0),
    n_customers=600,
    days=21,
    nights=30,
    train_every=7,
    pictures_from=15,
    explored_share=0.02,
    end=END,
    seed=1,
)
LOOPS: Final = {
    "steep": replace(LOOP, parameters=replace(LOOP.parameters, examination="steep")),
    "screens": replace(LOOP, parameters=replace(LOOP.parameters, examination="screens")),
    "similar": replace(
        LOOP, parameters=replace(LOOP.parameters, similar_attention=0.5, drift_sd=0.4)
    ),
    # 0.2% of the visits buy: more visits, as nothing is learned from fewer than 10 purchases.
    "flat": replace(
        LOOP,
        n_customers=3_300,
        parameters=replace(LOOP.parameters, examination="flat", buy_intercept=-6.75),
    ),
}
IN_CHECK: Final = replace(
    LOOP,
    parameters=replace(SMALL, buy_intercept=-1.0),
    n_customers=120,
    days=8,
    nights=2,
    pictures_from=3,
)


@dataclass(frozen=True)
class Opened:
    """A service, and its shop on the last day."""

    service: LoopService
    run: Shop
    night: LoopNight


@pytest.fixture
def opened(tiny_bundle: tuple[Path, Path], picture_cache: Path) -> Opened:
    """Serve the last day of the small shop, after nine days of lists by popularity."""
    bundle, data = tiny_bundle
    run = Shop(again(data, seed=TINY_SEED), np.random.default_rng(1))
    *before, last_us, _ = run.world.period.days_us()
    for day_us in before:
        run.run_day(day_us)
    until_us = last_us + DAY_US
    known = BundleComparison(
        cut(read_dataset(data), until_us), last_us, until_us, RunConfig(), 0, picture_cache
    )
    night = LoopNight(bundle, "published", awaiting=bundle)
    return Opened(LoopService.open(bundle, run, known), run, night)


def test_lists_of_the_loop_are_those_of_the_bundle(opened: Opened) -> None:
    """Eligible sales, each once, by their probabilities; and what happened is of these lists."""
    run = opened.run
    *_, day_us, _ = run.world.period.days_us()
    n_before = len(run.log().kind)
    ranked: list[Ranked] = []

    def order(asked: Asked) -> LoggedSlates:
        ranked.append(opened.service.rank(Moment.of(run, asked), SlatePolicy()))
        return ranked[-1].slates

    served = run.run_day(day_us, order)

    shown: set[tuple[int, int]] = set()
    for one, two in zip(served, ranked, strict=True):
        for number, visit in enumerate(one.asked.visit.tolist()):
            picks = two.slates.column[number]
            picks = picks[picks >= 0]
            assert len(set(picks.tolist())) == len(picks) > 0
            assert one.asked.eligible[number, picks].all()
            probabilities = two.probabilities[number]
            assert np.isnan(probabilities[~one.asked.eligible[number]]).all()
            best = np.sort(probabilities[one.asked.eligible[number]])[::-1]
            assert probabilities[picks].tolist() == best[: len(picks)].tolist()
            shown |= {(visit, sale) for sale in one.asked.sales[picks].tolist()}
        assert (two.slates.propensity[two.slates.column >= 0] == 1).all()
    events = run.log()
    happened = events.position[n_before:] > 0
    pairs = zip(events.visit[n_before:][happened], events.sale[n_before:][happened], strict=True)
    assert {(int(visit), int(sale)) for visit, sale in pairs} <= shown


def test_a_share_of_the_lists_is_drawn_and_costs_little(opened: Opened) -> None:
    """All lists by chance: other propensities, and fewer expected purchases than by the bundle."""
    run = opened.run
    *_, day_us, _ = run.world.period.days_us()

    services, policy = [opened.service] * 3, SlatePolicy(exploration=usual_exploration(1.0))
    day, answers = served_by(services, run, day_us=day_us, policy=policy, night=opened.night)

    assert len(day.shown) == len(day.popularity_log) > 0
    assert day.certain.tolist() == day.popularity_log.tolist()
    assert len(day.sales) == len(day.truth)
    assert day.n_calibrating >= 10
    assert day.shown.mean() < day.popularity_log.mean()
    assert len(day.predicted) == len(day.truth)
    assert np.isfinite(day.predicted).all()
    assert day.awaiting is not None
    assert day.awaiting.tolist() == day.popularity_log.tolist()
    assert day.promotes
    assert not replace(day, awaiting=0.97 * day.certain).promotes
    slates = recorded_slates(answers, [opened.service.bundle_id])
    assert len(slates) == len(day.shown)
    assert all(
        one.is_drawn and len(one.sale_ids) == len(one.propensities) for one in slates.values()
    )


@pytest.mark.prove
def test_a_shop_may_learn_from_its_own_lists(proof: Proof, tmp_path: Path) -> None:
    """In full thirty nights of four worlds; else two nights of one, which is too small to judge."""
    is_full = proof.share == FULL_SCALE
    found: dict[str, object] = {}
    missed: dict[str, list[str]] = {}
    for name in list(LOOPS)[: proof.scale(len(LOOPS))]:
        loop = LOOPS[name] if is_full else IN_CHECK

        days = list(run_loop(loop, tmp_path / name, progress=Silent()))

        assert len(days) == loop.nights
        figures = [asdict(figures_of([day])) for day in days]
        assert all(math.isfinite(value) for one in figures for value in one.values())
        missed[name] = missed_bounds(days, pictures_from=loop.pictures_from)
        found[name] = {
            "verdicts": [day.verdict for day in days],
            "nights": figures,
            "weeks": [asdict(week) for week in weeks_of(days)],
            "missed": missed[name],
        }
    proof.record("closed_loop", found)
    assert not is_full or not any(missed.values()), missed


def test_figures_are_those_of_all_visits() -> None:
    """By hand: 3 visits worth 0.6 against 0.5; predictions half as high as the truth."""
    truth = np.array([0.02, 0.1, 0.3])
    first = Day(
        verdict="trained",
        shown=np.array([0.05, 0.2]),
        certain=np.array([0.1, 0.2]),
        popularity_log=np.array([0.1, 0.1]),
        awaiting=None,
        predicted=truth / 2,
        truth=truth,
        sales=np.arange(3),
        examined_last=0.5,
        n_purchases=2_600,
        n_calibrating=100.0,
    )
    second = replace(
        first,
        shown=np.array([0.3]),
        certain=np.array([0.3]),
        popularity_log=np.array([0.3]),
        examined_last=0.4,
    )
    assert not first.promotes

    both = figures_of([first, second])

    assert both.n_visits == 3
    assert both.shown == pytest.approx(0.55 / 3)
    assert both.certain == pytest.approx(0.2)
    assert both.popularity_log == pytest.approx(0.5 / 3)
    assert both.ratio == pytest.approx(1.2)
    assert both.ratio_se == pytest.approx(0.018)
    assert both.predicted_over_true == pytest.approx(0.5)
    assert both.examined_last == 0.4
    right = replace(first, predicted=truth)
    assert figures_of([right]).slope == pytest.approx(1.0)
    weeks = weeks_of([first] * 8)
    assert [week.n_visits for week in weeks] == [14, 2]
    assert weeks[1] == figures_of([first])


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()

    refused = run_here("training", "simulate-loop", "--out", str(tmp_path))

    assert refused.exit_code == 2
    assert "choose another folder" in refused.output
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_loop_that_is_refused_before_its_first_night_leaves_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "loop"
    few = ["--customers", "20", "--days", "2", "--nights", "1", "--buy-intercept", "-9"]

    refused = run_here("training", "simulate-loop", "--out", str(out), *few)

    assert refused.exit_code == 1
    assert "simulate more --customers or --days, or a higher --buy-intercept" in refused.stderr
    assert not out.exists()


def test_what_a_loop_certainly_misses_is_named() -> None:
    """By hand: pictures join on the second day, and bring less than on the other log."""
    truth = np.tile([0.02, 0.1, 0.3], 1_000)
    right = Day(
        verdict="trained",
        shown=np.array([0.3]),
        certain=np.array([0.3]),
        popularity_log=np.array([0.2]),
        awaiting=None,
        predicted=truth,
        truth=truth,
        sales=np.arange(len(truth)),
        examined_last=0.5,
        n_purchases=65_000,
        n_calibrating=20_000.0,
    )
    high = replace(right, predicted=1.2 * truth)
    less = replace(right, certain=np.array([0.2]), popularity_log=np.array([0.25]))

    assert missed_bounds([right] * 9, pictures_from=1) == []
    [missed] = missed_bounds([high] * 7 + [right], pictures_from=1)
    assert missed.startswith("predicted_over_true of week 1 is 1.200 [1.18")
    assert missed.endswith("], not 0.85 to 1.15")
    assert missed_bounds([right, less], pictures_from=2) == [
        "pictures bring 0.533 of what they bring on a log by popularity"
    ]
    assert missed_bounds([less], pictures_from=1) == [
        "lists bring 0.800 of those of a log by popularity"
    ]
    by_few = [replace(one, n_calibrating=100.0, n_purchases=20) for one in (high, less)]
    assert missed_bounds(by_few, pictures_from=1) == []


def test_too_few_purchases_are_refused(tmp_path: Path) -> None:
    """A shop of ten customers would learn clicks, and be compared by purchases."""
    loop = replace(IN_CHECK, n_customers=10, days=2)

    with pytest.raises(TooFewPurchasesError, match=r"purchases in the first 2 days, at least 20"):
        next(run_loop(loop, tmp_path / "loop", progress=Silent()))
