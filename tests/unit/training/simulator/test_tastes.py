from dataclasses import replace

import numpy as np
import pytest

from training.simulator.parameters import DAY_US, WORLDS
from training.simulator.tastes import draw_tastes, standardised


def test_tastes_spread_as_the_parameters_say(rng: np.random.Generator) -> None:
    """Scenes come first, then countries; both have mean-zero deviations of a known size."""
    parameters = replace(WORLDS["standard"], n_types=20_000)

    weights = draw_tastes(parameters, n_scenes=3, n_countries=2, rng=rng).weights

    assert weights.shape == (20_000, 3 + 2 + 4 + 4)
    np.testing.assert_allclose(weights[:, :3].std(axis=0), parameters.scene_sd, rtol=0.03)
    np.testing.assert_allclose(weights[:, 3:5].std(axis=0), parameters.country_sd, rtol=0.03)
    np.testing.assert_allclose(weights[:, 3:5].mean(axis=0), 0.0, atol=0.02)


def test_regimes_of_a_type_are_as_alike_as_the_parameters_say(rng: np.random.Generator) -> None:
    """Correlation of two regimes is the squared likeness, 0.16."""
    parameters = replace(WORLDS["regimes"], n_types=20_000)

    tastes = draw_tastes(parameters, n_scenes=1, n_countries=1, rng=rng)

    first, second, third = tastes.weights[:, 0].reshape(-1, 3).T
    assert abs(np.corrcoef(first, second)[0, 1] - 0.16) < 0.03
    assert abs(np.corrcoef(first, third)[0, 1] - 0.16) < 0.03
    np.testing.assert_allclose(tastes.transition.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diag(tastes.transition), 0.85)


def test_constant_columns_are_standardised_to_zero() -> None:
    values = np.array([[1.0, 5.0], [3.0, 5.0]])

    assert standardised(values).tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_scenes_come_into_fashion_and_go_out_once_a_month(rng: np.random.Generator) -> None:
    """In a month the mean change is 0 and its standard deviation 0.4, the same for all types."""
    tastes = draw_tastes(WORLDS["standard"], n_scenes=4, n_countries=3, rng=rng)

    days = [tastes.on_day(day * DAY_US, drift_sd=0.4) - tastes.weights for day in range(30)]

    assert np.ptp(np.array(days), axis=1).max() == pytest.approx(0.0, abs=1e-12)
    scenes = np.array(days)[:, 0, :4]
    np.testing.assert_allclose(scenes.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(scenes.std(axis=0), 0.4, rtol=1e-9)
    assert not np.array(days)[:, :, 4:].any()
    assert tastes.on_day(DAY_US, drift_sd=0.0) is tastes.weights
