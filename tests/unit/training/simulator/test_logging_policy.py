import numpy as np
import pytest

from training.simulator.logging_policy import plackett_luce


def test_propensities_are_those_of_drawing_without_replacement(rng: np.random.Generator) -> None:
    """With weights 1, 2 and 3: first w / 6, then w / (6 - first)."""
    logits = np.log(np.tile([1.0, 2.0, 3.0], (500, 1)))

    slates = plackett_luce(logits, 2, rng=rng)

    first, second = slates.column[:, 0] + 1, slates.column[:, 1] + 1
    np.testing.assert_allclose(slates.propensity[:, 0], first / 6)
    np.testing.assert_allclose(slates.propensity[:, 1], second / (6 - first))


def test_probabilities_of_all_slates_sum_to_one(rng: np.random.Generator) -> None:
    logits = np.tile(rng.normal(size=4), (4_000, 1))

    slates = plackett_luce(logits, 3, rng=rng)

    code = slates.column @ np.array([16, 4, 1])
    _, first = np.unique(code, return_index=True)
    assert len(first) == 4 * 3 * 2
    assert np.prod(slates.propensity[first], axis=1).sum() == pytest.approx(1.0)


def test_first_positions_follow_the_softmax(rng: np.random.Generator) -> None:
    weights = np.array([1.0, 2.0, 7.0])

    slates = plackett_luce(np.log(np.tile(weights, (20_000, 1))), 3, rng=rng)

    shares = np.bincount(slates.column[:, 0], minlength=3) / 20_000
    p = weights / 10
    assert np.all(np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / 20_000))


def test_what_is_not_eligible_is_not_shown_and_slates_may_be_short(
    rng: np.random.Generator,
) -> None:
    logits = np.tile([0.0, -np.inf, 0.0, -np.inf], (50, 1))

    slates = plackett_luce(logits, 3, rng=rng)

    assert set(slates.column[:, :2].ravel().tolist()) == {0, 2}
    assert np.all(slates.column[:, 2] == -1)
    np.testing.assert_allclose(slates.propensity, [[0.5, 1.0, 0.0]] * 50)
