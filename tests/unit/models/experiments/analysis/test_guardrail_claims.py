"""Guarantees of the coverage guardrail, before simulated answers of two equal variants."""

from itertools import product
from typing import Final

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from models.experiments.analysis.guardrail import Guardrail, State, guardrails
from models.experiments.exposure import TOOK
from models.experiments.plan.rules import Rules
from tests.proofs import FULL_SCALE, Proof

SHOWN: Final = 10
N_SALES: Final = 60
LOOKS: Final = (60, 100, 150, 200, 300, 450, 700, 1_000)
"""Units of both sides at each look."""
PLANNED: Final = 100
"""The fewest that rules allow: early looks then are the least careful."""


def shown(n_sales: int, *, n: int, spread: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw slates without replacement, of sale k with the weight k^-spread."""
    weights = np.log(np.arange(1.0, n_sales + 1)) * -spread
    keys = weights + rng.gumbel(size=(n, n_sales))
    return np.argsort(-keys, axis=1)[:, :SHOWN]


def frame(units: NDArray[np.int64], slates: NDArray[np.int64]) -> pl.DataFrame:
    columns = {"unit_id": units.astype(str), "sale_ids": slates.astype(str).tolist()}
    return pl.DataFrame(columns).with_columns(
        pl.lit(None, dtype=pl.String).alias("degraded"), pl.lit(None, dtype=pl.Int64).alias(TOOK)
    )


def coverage(own: pl.DataFrame, control: pl.DataFrame) -> Guardrail:
    found = guardrails(
        {"own": own, "control": control}, "control", rules=Rules(planned_units=PLANNED)
    )
    return next(one for one in found if one.name == "coverage")


def is_ever_stopped(
    *, share: float, explored: float, is_personal: bool, rng: np.random.Generator
) -> bool:
    """Look at units who come one after the other, each once or a few times."""
    units = np.repeat(np.arange(LOOKS[-1]), rng.geometric(2 / 3, size=LOOKS[-1]))
    slates = np.tile(np.arange(SHOWN), (len(units), 1))
    if is_personal:
        slates = shown(N_SALES, n=LOOKS[-1], spread=1.0, rng=rng)[units]
    drawn = rng.random(len(units)) < explored
    slates[drawn] = shown(N_SALES, n=int(drawn.sum()), spread=0.5, rng=rng)
    is_own = (rng.random(LOOKS[-1]) < share)[units]
    for n in LOOKS:
        came = units < n
        own, control = (frame(units[one], slates[one]) for one in (came & is_own, came & ~is_own))
        if own.height and coverage(own, control).state is State.BREACHED:
            return True
    return False


@pytest.mark.prove
def test_equal_variants_are_seldom_stopped_for_their_coverage(
    proof: Proof, rng: np.random.Generator
) -> None:
    """By eight looks. Where all see one order, only drawn answers show other sales."""
    n = proof.scale(200)
    figures: dict[str, float] = {}
    for is_personal, explored, share in product(
        (False, True), (0.02, 0.1), (0.02, 0.1, 0.5) if proof.share == FULL_SCALE else (0.1,)
    ):
        name = f"{'personal' if is_personal else 'one'} order, {explored:.0%} drawn, {share:.0%}"
        stopped = [
            is_ever_stopped(share=share, explored=explored, is_personal=is_personal, rng=rng)
            for _ in range(n)
        ]
        figures[name] = sum(stopped) / n

    proof.record("coverage-without-effect", {"experiments": n, "stopped": figures})
    # Of two experiments one false stop is chance.
    assert all(share <= max(0.05, 1 / n) for share in figures.values()), figures


def test_a_side_that_no_draw_fell_to_is_not_certain_to_show_less() -> None:
    """100 answers each, of one order; four of the control's are drawn and show 36 more sales."""
    units, order = np.arange(100), np.tile(np.arange(SHOWN), (100, 1))
    drawn = order.copy()
    drawn[::25] = 10 + np.arange(40).reshape(4, SHOWN)
    drawn[::25, 0] = 0

    found = coverage(frame(units, order), frame(units + 100, drawn))

    assert (found.variant_value, found.control_value) == (10, 46)
    assert found.state is State.OPEN


def test_a_side_that_shows_a_tenth_of_the_sales_is_stopped(rng: np.random.Generator) -> None:
    units = np.arange(300)
    order = np.tile(np.arange(SHOWN), (300, 1))

    found = coverage(
        frame(units, order), frame(units + 300, shown(100, n=300, spread=0.0, rng=rng))
    )

    assert found.change.value == pytest.approx(-0.9)
    assert found.state is State.BREACHED
