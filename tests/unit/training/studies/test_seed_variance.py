"""Figures over seeds say what moves and what does not."""

import math
import shutil
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from models.domain.event import from_us
from tests.logs import DAY
from tests.worlds import END_US
from training.__main__ import app
from training.studies.seed_variance import Spread

Found = dict[str, dict[str, dict[str, float | list[float]]]]


def test_the_spread_is_the_standard_deviation_of_a_sample() -> None:
    """1, 2 and 6: mean 3, squares 4 + 1 + 9 over 2."""
    found = Spread.of((1.0, 2.0, 6.0))

    assert (found.mean, found.sd) == (3.0, pytest.approx(math.sqrt(7)))
    assert math.isnan(Spread.of((1.0,)).sd)


def test_an_end_that_no_purchase_follows_is_an_error(tiny_world: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("sales", "events"):
        shutil.copy(tiny_world / f"{name}.parquet", data)
    until = from_us(END_US + DAY).isoformat()[:19]
    arguments = ["seeds", "--data", data, "--until", until, "--seeds", 2]
    kept = ["--out", tmp_path / "bundles", "--cache", tmp_path / "cache", "--json"]

    result = CliRunner().invoke(app, [str(one) for one in (*arguments, *kept)])

    assert result.exit_code == 1
    assert "choose an earlier end" in result.stderr
    assert result.stdout == ""


@pytest.mark.slow
def test_every_seed_is_trained_and_judged_on_the_same_slates(
    tiny_world: Path, tmp_path: Path
) -> None:
    data, bundles = tmp_path / "data", tmp_path / "bundles"
    data.mkdir()
    for name in ("sales", "events", "truth", "truth_positions"):
        shutil.copy(tiny_world / f"{name}.parquet", data)
    until = from_us(END_US - 2 * DAY).isoformat()[:19]
    arguments = ["seeds", "--data", data, "--until", until, "--seeds", 2, "--out", bundles]
    options = ["--cache", tmp_path / "cache", "--max-visits", 20, "--json"]

    result = CliRunner().invoke(app, [str(one) for one in (*arguments, *options)])

    assert result.exit_code == 0, result.stderr
    found = TypeAdapter(Found).validate_json(result.stdout)
    gained = found["open"]["expected_purchases_at_10"]["values"]
    assert isinstance(gained, list)
    assert len(set(gained)) == 2
    assert len(list(bundles.iterdir())) == 2
