"""A learning curve says how many customers are enough."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from models.domain.event import from_us
from tests.logs import DAY, HOUR
from tests.unit.training.studies.test_ablation import CONFIG, SCHEMA, shop_where_content_decides
from tests.worlds import END_US
from training.__main__ import app
from training.configuration import RunConfig
from training.examples.customer_sample import in_sample
from training.statistics.bootstrap import Interval
from training.statistics.difference import Difference
from training.studies.ablation import ALL, MRR, Halves, ablate
from training.studies.learning_curve import LearningCurve, SampleSize, learning_curve


def curve(**costs: tuple[float, float]) -> LearningCurve:
    """A curve of samples by share, whose reciprocal rank is below 0.5 by so much."""
    shares = {name.replace("_", "."): cost for name, cost in costs.items()}
    return LearningCurve(
        sizes=tuple(SampleSize(float(share), 1, 1, 1) for share in (*shares, "1")),
        means={ALL: {MRR: Interval(0.5, 0.49, 0.51, 100)}},
        differences={
            share: {MRR: Difference(Interval((low + high) / 2, low, high, 100), p=0.5)}
            for share, (low, high) in shares.items()
        },
        too_few=(),
    )


def test_the_smallest_sample_that_certainly_costs_less_than_a_hundredth_is_enough() -> None:
    """A hundredth of 0.5 is 0.005."""
    found = curve(**{"0_125": (-0.02, 0), "0_25": (-0.0049, 0.001), "0_5": (-0.001, 0.001)})

    assert found.enough == 0.25


def test_a_sample_is_not_enough_if_a_larger_one_costs_more() -> None:
    """By chance alone: what is between says that the later slates cannot tell."""
    found = curve(**{"0_25": (-0.001, 0.001), "0_5": (-0.006, 0.002)})

    assert found.enough == 1.0


def test_where_nothing_is_known_of_samples_all_customers_are_needed() -> None:
    assert curve(**{"0_5": (float("nan"), float("nan"))}).enough == 1.0
    assert curve().enough == 1.0


def test_rankers_are_fitted_on_samples_and_judged_on_the_later_slates_of_all(
    rng: np.random.Generator,
) -> None:
    assembly = shop_where_content_decides(rng, 10_000)
    halves = Halves.of(assembly, 1_500 * HOUR, outcome_us=DAY)
    ids = pl.Series([f"c{number}" for number in range(2_000)])

    found = learning_curve(halves, ids, schema=SCHEMA, config=CONFIG, seed=0)

    n_early = len(halves.early)
    assert {size.share: size.customers for size in found.sizes} == {
        share: in_sample(ids, share)[:n_early].sum() for share in (0.03125, 0.0625, 0.125, 0.25)
    } | {0.5: in_sample(ids, 0.5)[:n_early].sum(), 1.0: n_early}
    assert found.too_few == ()
    # All customers are what an ablation compares with.
    expected = ablate(halves, SCHEMA, config=CONFIG, seed=0)
    assert found.means[ALL] == expected.means[ALL]
    assert found.means["0.03125"][MRR].n == found.means[ALL][MRR].n
    assert found.means["0.03125"][MRR].value < found.means[ALL][MRR].value


def test_samples_without_enough_purchases_are_named(rng: np.random.Generator) -> None:
    assembly = shop_where_content_decides(rng, 1_500)
    halves = Halves.of(assembly, 250 * HOUR, outcome_us=DAY)
    ids = pl.Series([f"c{number}" for number in range(300)])

    found = learning_curve(halves, ids, schema=SCHEMA, config=CONFIG, seed=0)

    assert 0.03125 in found.too_few
    assert found.sizes[-1].share == 1.0


@pytest.mark.slow
def test_the_command_writes_a_configuration_with_the_sample(
    tiny_world: Path, tmp_path: Path
) -> None:
    for name in ("sales", "events"):
        shutil.copy(tiny_world / f"{name}.parquet", tmp_path)
    until, out = from_us(END_US).isoformat()[:19], tmp_path / "sampled.json"
    arguments = ["--data", str(tmp_path), "--until", until, "--out", str(out), "--json"]

    result = CliRunner().invoke(app, ["learning-curve", *arguments])

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["sizes"][-1]["share"] == 1.0
    assert RunConfig.read(out) == RunConfig(sample=found["sample"])
