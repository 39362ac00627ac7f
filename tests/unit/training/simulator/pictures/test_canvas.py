import numpy as np
import pytest

from training.simulator.pictures.canvas import HIGHEST_HORIZON, LOWEST_HORIZON, Canvas
from training.simulator.pictures.source import PAINTERS

N_SEEDS = 30


class ExtremeCanvas(Canvas):
    """Draws nothing but the ends of intervals, where shapes are most easily inside out."""

    def between(self, low: float, high: float) -> float:
        """Return one of the two ends."""
        return low if self.rng.random() < 0.5 else high


@pytest.mark.parametrize("horizon", [HIGHEST_HORIZON, LOWEST_HORIZON])
@pytest.mark.parametrize("scene", sorted(PAINTERS))
def test_no_draw_turns_a_shape_inside_out(scene: str, horizon: float) -> None:
    """Pillow refuses a box whose bottom lies above its top."""
    for seed in range(N_SEEDS):
        canvas = ExtremeCanvas(np.random.default_rng(seed))
        canvas.horizon, canvas.crowd = horizon, 1.0
        sky = canvas.image.copy()

        PAINTERS[scene](canvas)

        assert canvas.image != sky


def test_the_horizon_is_lowered_no_further_than_painters_have_room_for() -> None:
    canvas = Canvas(np.random.default_rng(0))
    canvas.horizon = LOWEST_HORIZON - 20

    canvas.lower_horizon(15)
    assert canvas.horizon == LOWEST_HORIZON - 5

    canvas.lower_horizon(50)
    assert canvas.horizon == LOWEST_HORIZON
