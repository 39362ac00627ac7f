"""Few outcomes move a simple scorer as far as they predict later ones."""

from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from training.ranker.fit_few import RIDGES, FewOutcomes, chosen_ridge
from training.ranker.training_rows import TrainingRows

SCHEMA: Final = FeatureSchema(())
PRICE: Final = SCHEMA.names.index("sale_price")
PURCHASES: Final = SCHEMA.names.index("same_sale_purchases")
SIZE: Final = 10


def few(matrix: NDArray[np.float32], utility: NDArray[np.float64], *, seed: int) -> FewOutcomes:
    """Slates of ten sales, of which one is bought, by a softmax of its utility."""
    rng = np.random.default_rng(seed)
    noisy = (utility + rng.gumbel(size=len(utility))).reshape(-1, SIZE)
    labels = np.zeros(noisy.shape)
    labels[np.arange(len(noisy)), noisy.argmax(axis=1)] = 1
    n = len(matrix)
    return FewOutcomes(
        rows=TrainingRows(matrix, labels.ravel(), np.ones(n)),
        starts=np.arange(0, n + 1, SIZE),
        p_examined=np.ones(n),
        schema=SCHEMA,
        ridges=np.full(len(SCHEMA.names), 30.0),
        excluded_features=(),
        seed=0,
    )


@pytest.fixture
def matrix(rng: np.random.Generator) -> NDArray[np.float32]:
    found = rng.normal(size=(100 * SIZE, len(SCHEMA.names))).astype(np.float32)
    found[:, PURCHASES] = rng.random(len(found)) < 0.05
    return found


def test_what_predicts_later_slates_is_learned(matrix: NDArray[np.float32]) -> None:
    outcomes = few(matrix, 2.0 * matrix[:, PRICE].astype(np.float64), seed=1)

    gains = outcomes.forward_gains()

    assert chosen_ridge(gains) == min(RIDGES)
    assert outcomes.fit_forward().weights[PRICE] > 0.3


def test_what_predicts_nothing_is_left_out(matrix: NDArray[np.float32]) -> None:
    """Fifty columns of noise: in most of nine logs later slates let hardly one of them speak."""
    bought = 3.0 * matrix[:, PURCHASES].astype(np.float64)
    ridges = [chosen_ridge(few(matrix, bought, seed=seed).forward_gains()) for seed in range(9)]

    assert np.median(ridges) >= 3_000


def test_what_was_never_seen_keeps_the_weight_of_the_simple_scorer(
    matrix: NDArray[np.float32],
) -> None:
    matrix[:, PURCHASES] = 0
    fitted = few(matrix, np.zeros(len(matrix)), seed=1).fit_forward()

    assert fitted.weights[PURCHASES] == 1


def test_each_fold_is_predicted_from_what_is_before_it(matrix: NDArray[np.float32]) -> None:
    """Outcomes of the last fifth, turned round, change the predictions of no earlier slate."""
    outcomes = few(matrix, np.zeros(len(matrix)), seed=1)
    before = outcomes.forward_gains()
    labels = outcomes.rows.labels
    last = labels[80 * SIZE :].reshape(-1, SIZE)
    labels[80 * SIZE :] = np.roll(last, 1, axis=1).ravel()
    after = outcomes.forward_gains()

    for ridge in RIDGES:
        assert len(before[ridge]) == 60
        assert before[ridge][:40].tolist() == after[ridge][:40].tolist()
        assert before[ridge][40:].tolist() != after[ridge][40:].tolist()


def test_the_strongest_ridge_within_one_standard_error_is_chosen() -> None:
    """Differences to the best of mean 1 and standard error 1 / sqrt(3) or 2 / sqrt(3)."""
    best = np.zeros(4)
    sure, unsure = np.array([0.0, 0.0, 2.0, 2.0]), np.array([-1.0, -1.0, 3.0, 3.0])

    assert chosen_ridge({1.0: best, 2.0: best - sure}) == 1
    assert chosen_ridge({1.0: best, 2.0: best - unsure}) == 2
    assert chosen_ridge({1.0: best, 2.0: best}) == 2
    assert chosen_ridge({1.0: best[:1], 2.0: best[:1] - 1}) == 2


def test_too_few_slates_to_predict_leave_the_simple_scorer(matrix: NDArray[np.float32]) -> None:
    """Four outcomes are before the first fold, and each fold after has one slate."""
    rows = matrix[: 5 * SIZE]

    gains = few(rows, np.zeros(len(rows)), seed=1).forward_gains()

    assert {len(found) for found in gains.values()} == {0}
    assert chosen_ridge(gains) == max(RIDGES)
