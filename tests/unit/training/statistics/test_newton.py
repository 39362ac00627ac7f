"""The Newton iteration, on functions whose optimum is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.statistics.newton import newton


def test_a_quadratic_takes_one_step() -> None:
    """The step of ``(x - 3)^2 + 2 (y + 1)^2`` leads to its minimum from anywhere."""
    minimum = np.array([3.0, -1.0])

    found = newton(
        np.zeros(2),
        lambda at: at - minimum,
        loss=lambda at: float((at[0] - 3) ** 2 + 2 * (at[1] + 1) ** 2),
        longest=10.0,
        tolerance=1e-9,
    )

    assert found.tolist() == minimum.tolist()


def test_a_long_step_keeps_its_direction() -> None:
    visited: list[list[float]] = []

    def step(at: NDArray[np.float64]) -> NDArray[np.float64]:
        visited.append(at.tolist())
        return at - np.array([4.0, 2.0])

    def loss(at: NDArray[np.float64]) -> float:
        return float(np.square(at - np.array([4.0, 2.0])).sum())

    newton(np.zeros(2), step, loss=loss, longest=1.0, tolerance=1e-9)

    assert visited[:3] == [[0.0, 0.0], [1.0, 0.5], [2.0, 1.0]]


def test_the_root_of_two_is_found() -> None:
    """Newton's step for ``x^2 = 2``."""
    found = newton(
        np.ones(1),
        lambda x: (x * x - 2) / (2 * x),
        loss=lambda x: float(x[0] ** 3 / 3 - 2 * x[0]),
        longest=1.0,
        tolerance=1e-12,
    )

    assert found[0] == pytest.approx(2**0.5, rel=1e-15)


@pytest.mark.parametrize("start", [1.2, -3.0, 50.0])
def test_a_step_that_overshoots_is_halved(start: float) -> None:
    """Of ``sqrt(1 + x^2)`` Newton's step leads from ``x`` to ``-x^3``, beyond 1 farther away."""
    found = newton(
        np.array([start]),
        lambda x: x * (1 + x * x),
        loss=lambda x: float(np.hypot(1.0, x[0])),
        longest=100.0,
        tolerance=1e-9,
    )

    assert found[0] == pytest.approx(0, abs=1e-9)


def test_a_step_of_which_no_part_lowers_the_loss_is_not_taken() -> None:
    """Uphill of ``x^2``: a wrong gradient ends where it began, and not a step farther away."""
    found = newton(
        np.array([2.0]),
        lambda x: -x,
        loss=lambda x: float(x[0] ** 2),
        longest=1.0,
        tolerance=1e-9,
    )

    assert found.tolist() == [2.0]


def test_a_step_that_leaves_what_the_loss_is_defined_on_is_halved() -> None:
    """Of ``x - log(x)``, with its minimum at 1, Newton's step from 3 leads to -3."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = newton(
            np.array([3.0]),
            lambda x: x * (x - 1),
            loss=lambda x: float(x[0] - np.log(x[0])),
            longest=10.0,
            tolerance=1e-9,
        )

    assert found[0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("loss", "step", "named"), [(np.nan, 1.0, "loss"), (np.inf, 1.0, "loss"), (1.0, np.nan, "step")]
)
def test_what_is_not_finite_is_refused(loss: float, step: float, named: str) -> None:
    with pytest.raises(FloatingPointError, match=named):
        newton(
            np.zeros(1),
            lambda _: np.array([step]),
            loss=lambda _: loss,
            longest=1.0,
            tolerance=1e-9,
        )
