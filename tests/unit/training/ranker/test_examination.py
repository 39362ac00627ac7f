"""Examination is separated from relevance in a log that the shop's own ranking ordered."""

from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from models.features.feature import Scope
from models.features.schema import FeatureSchema
from models.ranker.ranker import POSITION
from tests.own_log import CURVES, OwnLog, own_log
from tests.proofs import Proof
from training.ranker.fit_offset import examination
from training.ranker.position_bias import ShownExamples, position_effect
from training.ranker.training_rows import TrainingRows

SCHEMA: Final = FeatureSchema(())
N_SEEDS: Final = 20
N_VISITS: Final = 10_000


def estimates(log: OwnLog) -> dict[str, NDArray[np.float64]]:
    """Estimate the curve inside sales alone, with relevance, and with the true relevance."""
    scopes = [scope for scope, _ in SCHEMA.features.values()]
    columns = [n for n, scope in enumerate(scopes) if scope is not Scope.CONTEXT]
    matrix = np.zeros((len(log.bought), len(SCHEMA.names)), dtype=np.float32)
    matrix[:, columns[: log.features.shape[1]]] = log.features
    matrix[:, SCHEMA.names.index(POSITION)] = log.positions
    weights = np.ones(len(log.bought))
    shown = ShownExamples(log.positions, log.sale_days, log.bought, weights)
    rows = TrainingRows(matrix, log.bought, weights)
    return {
        "inside sales": position_effect(shown),
        "with relevance": examination(rows, log.sale_days, schema=SCHEMA, seed=0),
        "true relevance": position_effect(shown, np.log(log.chances)),
    }


def test_a_log_in_the_order_of_relevance_teaches_the_true_curve(rng: np.random.Generator) -> None:
    """3,000 purchases: with the true relevance the last place has a standard error near 0.03.

    Inside sales alone the customer's liking is taken for the position.
    """
    curve = CURVES["root"]

    found = estimates(own_log(rng, curve, n_visits=N_VISITS, rate=0.03))

    assert found["inside sales"][-1] < curve[-1] / 2
    np.testing.assert_allclose(found["with relevance"], curve, atol=0.1)
    assert found["with relevance"][-1] == pytest.approx(found["true relevance"][-1], abs=0.05)


@pytest.mark.prove
@pytest.mark.parametrize(("name", "rate"), [("root", 0.002), *((name, 0.01) for name in CURVES)])
def test_curves_of_every_shape_are_found_from_few_purchases(
    proof: Proof, name: str, rate: float
) -> None:
    """200 or 1,000 purchases in a log; errors over all places but the first, whose curve is 1."""
    curve, n_seeds = CURVES[name], proof.scale(N_SEEDS)
    logs = (
        own_log(np.random.default_rng(seed), curve, n_visits=N_VISITS, rate=rate)
        for seed in range(n_seeds)
    )
    found = [estimates(log) for log in logs]

    errors = {way: np.array([one[way] - curve for one in found])[:, 1:] for way in found[0]}
    bias = {way: float(error.mean()) for way, error in errors.items()}
    rmse = {way: float(np.sqrt(np.square(error).mean())) for way, error in errors.items()}
    assert rmse["with relevance"] < rmse["inside sales"]
    # Means over the seeds of a whole curve; its places err together.
    noise = float(errors["true relevance"].mean(axis=1).std()) + 0.1
    assert abs(bias["with relevance"]) < 3 * noise / np.sqrt(n_seeds)
    proof.record(
        f"examination_{name.replace(' ', '_')}_{rate:g}",
        {
            "purchases": round(rate * N_VISITS * len(curve)),
            "seeds": n_seeds,
            "truth": curve.tolist(),
            "mean": {
                way: (error.mean(axis=0) + curve[1:]).tolist() for way, error in errors.items()
            },
            "bias": bias,
            "rmse": rmse,
        },
    )
