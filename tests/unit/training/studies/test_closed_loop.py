"""A shop learns from lists that its own bundles ordered."""

import math
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from models.dataset.reading import read_dataset
from models.slate.slate_policy import SlatePolicy
from tests.end_to_end.in_process import run_here
from tests.proofs import FULL_SCALE, Proof
from tests.worlds import TINY_SEED, Silent, again
from training.pipeline.training_data import cut
from training.simulator.logging_policy import LoggedSlates
from training.simulator.parameters import DAY_US, WORLDS
from training.simulator.simulation import Asked, Shop
from training.studies.closed_loop import Day, Loop, figures_of, run_loop, served_by, weeks_of
from training.studies.loop_service import LoopService, Ranked

END: Final = datetime(2026, 11, 20, tzinfo=UTC)
# Other curves than the simulator's usual one, and rare purchases: 0.6% of what is shown.
RARE: Final = WORLDS["rare"]
SMALL: Final = replace(WORLDS["standard"], n_types=100, sales_per_day=10.0, scenes_per_category=2)
LOOPS: Final = {
    "steep": replace(RARE, examination="steep"),
    "flat": replace(RARE, examination="flat", drift_sd=0.4),
    "screens": replace(RARE, examination="screens"),
    "similar": replace(RARE, similar_attention=0.5),
}


@pytest.fixture
def opened(tiny_bundle: tuple[Path, Path], picture_cache: Path) -> LoopService:
    """Serve the last day of the small shop, after nine days of lists by popularity."""
    bundle, data = tiny_bundle
    run = Shop(again(data, seed=TINY_SEED), np.random.default_rng(1))
    *before, last_us, _ = run.world.period.days_us()
    for day_us in before:
        run.run_day(day_us)
    dataset = cut(read_dataset(data), last_us + DAY_US)
    return LoopService.open(bundle, run, dataset, cache=picture_cache)


def test_lists_of_the_loop_are_those_of_the_bundle(opened: LoopService) -> None:
    """Eligible sales, each once, by their probabilities; and what happened is of these lists."""
    run = opened.run
    *_, day_us, _ = run.world.period.days_us()
    n_before = len(run.history().events.kind)
    ranked: list[Ranked] = []

    def order(asked: Asked) -> LoggedSlates:
        ranked.append(opened.rank(asked, SlatePolicy()))
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
    events = run.history().events
    happened = events.position[n_before:] > 0
    pairs = zip(events.visit[n_before:][happened], events.sale[n_before:][happened], strict=True)
    assert {(int(visit), int(sale)) for visit, sale in pairs} <= shown


def test_a_share_of_the_lists_is_drawn_and_costs_little(opened: LoopService) -> None:
    """All lists by chance: other propensities, and fewer expected purchases than by the bundle."""
    run = opened.run
    *_, day_us, _ = run.world.period.days_us()

    day = served_by(opened, opened, day_us=day_us, explored_share=1.0)

    assert len(day.shown) == len(day.popularity_log) > 0
    assert day.shown.mean() < day.popularity_log.mean()
    assert len(day.predicted) == len(day.truth)
    assert np.isfinite(day.predicted).all()


@pytest.mark.prove
def test_a_shop_may_learn_from_its_own_lists(proof: Proof, tmp_path: Path) -> None:
    """In full 14 nights of four worlds; else one night of one, which is too small to judge."""
    is_full = proof.share == FULL_SCALE
    found: dict[str, object] = {}
    for name in list(LOOPS)[: proof.scale(len(LOOPS))]:
        world = LOOPS[name] if is_full else replace(SMALL, examination=LOOPS[name].examination)
        loop = Loop(
            parameters=world,
            n_customers=1_500 if is_full else 200,
            days=21 if is_full else 8,
            nights=proof.scale(14),
            explored_share=0.02,
            end=END,
            seed=1,
        )

        days = list(run_loop(loop, tmp_path / name, progress=Silent()))

        assert len(days) == loop.nights
        figures = [asdict(figures_of([day])) for day in days]
        assert all(math.isfinite(value) for one in figures for value in one.values())
        found[name] = {"nights": figures, "weeks": [asdict(week) for week in weeks_of(days)]}
    proof.record("closed_loop", found)


def test_figures_are_those_of_all_visits() -> None:
    """By hand: 3 visits worth 0.6 against 0.5; predictions half as high as the truth."""
    truth = np.array([0.02, 0.1, 0.3])
    first = Day(np.array([0.1, 0.2]), np.array([0.1, 0.1]), truth / 2, truth, 0.5)
    second = Day(np.array([0.3]), np.array([0.3]), truth / 2, truth, 0.4)

    both = figures_of([first, second])

    assert both.n_visits == 3
    assert both.shown == pytest.approx(0.2)
    assert both.popularity_log == pytest.approx(0.5 / 3)
    assert both.ratio == pytest.approx(1.2)
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
