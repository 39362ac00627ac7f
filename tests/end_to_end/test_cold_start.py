"""New sales are ranked by their pictures: better than without, by popularity or at random."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from models.domain.event import from_us
from tests.logs import DAY
from tests.proofs import Proof
from tests.shared import shared_data
from tests.worlds import END_US, write_world
from training.__main__ import app
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

N_CUSTOMERS = 3_000
N_DAYS = 30
N_JUDGED_DAYS = 6

Figures = dict[str, dict[str, dict[str, float | None]]]

OTHERS = ("without_pictures", "popularity", "pictures_permuted")
METRICS = ("expected_purchases_at_10", "true_ndcg_at_10")


@dataclass(frozen=True)
class Made:
    """A simulated world and the moment that training ends."""

    name: str
    data: Path
    until: datetime


def cold_start(made: Made, root: Path, *, cache: Path, max_visits: int) -> Figures:
    options = {
        "--data": made.data,
        "--until": made.until.strftime("%Y-%m-%dT%H:%M:%S"),
        "--out": root,
        "--cache": cache,
        "--max-visits": max_visits,
    }
    words = [str(word) for option in options.items() for word in option]
    result = CliRunner().invoke(app, ["cold-start", *words, "--json"])
    assert result.exit_code == 0, result.stderr
    return TypeAdapter(Figures).validate_json(result.stdout)


def worlds(root: Path, proof: Proof, *, photos: Path | None) -> Iterator[Made]:
    """All three worlds in full; of a hundredth only a small standard one."""
    if proof.share < 1:
        # The world moves with the day, and with it how many of few customers buy in its last hours.
        data = write_world(root / "dataset", seed=3, n_customers=500, photos=photos)
        yield Made("small", data, from_us(END_US - 3 * DAY))
        return
    for name, parameters in WORLDS.items():
        data = root / name
        period = Period.ending(END_US, N_DAYS)
        create_world(
            data, parameters, period=period, n_customers=N_CUSTOMERS, seed=11, photos=photos
        )
        yield Made(name, data, from_us(END_US - N_JUDGED_DAYS * DAY))


def prove(root: Path, proof: Proof, *, cache: Path, photos: Path | None) -> None:
    proven: dict[str, Figures] = {}
    for made in worlds(root, proof, photos=photos):
        figures = cold_start(made, root, cache=cache, max_visits=max(30, proof.scale(2_000)))
        assert set(figures) == {"pictures", *OTHERS, *(f"pictures - {name}" for name in OTHERS)}
        proven[made.name] = {
            name: {metric: metrics[metric] for metric in METRICS}
            for name, metrics in figures.items()
        }
    proof.record(f"cold_start_{'photographs' if photos else 'rendered'}", proven)
    if proof.share < 1:
        return  # a few visits say nothing; that they are judged is what a hundredth shows
    for name, figures in proven.items():
        for metric in METRICS:
            gap = figures["pictures - pictures_permuted"][metric]
            low = gap["low"]
            assert low is not None, f"{name}: {metric} is unknown"
            assert low > 0, f"{name}: {metric}: permuted pictures cost {gap}"


@pytest.mark.prove
@pytest.mark.slow
def test_wrong_pictures_cost_new_sales_purchases(
    tmp_path: Path, proof: Proof, picture_cache: Path
) -> None:
    prove(tmp_path, proof, cache=picture_cache, photos=None)


@pytest.mark.prove
@pytest.mark.slow
def test_wrong_photographs_cost_new_sales_purchases(
    tmp_path: Path, proof: Proof, picture_cache: Path
) -> None:
    prove(tmp_path, proof, cache=picture_cache, photos=shared_data("scenes"))
