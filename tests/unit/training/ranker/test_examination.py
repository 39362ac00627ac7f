"""Examination is separated from relevance in a log that the shop's own ranking ordered."""

from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from models.features.context import POSITION, POSITION_DEVICE
from models.features.feature import Scope
from models.features.schema import FeatureSchema
from tests.own_log import (
    CURVES,
    DEVICE_CURVES,
    DEVICE_SHARES,
    N_POSITIONS,
    OwnLog,
    own_log,
)
from tests.proofs import Proof
from training.ranker.fit_offset import examination
from training.ranker.position_bias import ShownExamples, position_effect
from training.ranker.training_rows import TrainingRows

SCHEMA: Final = FeatureSchema(())
N_SEEDS: Final = 20
N_VISITS: Final = 10_000


def rows_of(log: OwnLog) -> TrainingRows:
    """Put the features of a log into columns of the schema, with positions and devices."""
    scopes = [scope for scope, _ in SCHEMA.features.values()]
    alike = (Scope.CONTEXT, Scope.CUSTOMER)  # what is the same in all rows of a list
    columns = [n for n, scope in enumerate(scopes) if scope not in alike]
    matrix = np.zeros((len(log.bought), len(SCHEMA.names)), dtype=np.float32)
    matrix[:, columns[: log.features.shape[1]]] = log.features
    matrix[:, SCHEMA.names.index(POSITION)] = log.positions
    matrix[:, SCHEMA.names.index(POSITION_DEVICE)] = log.devices
    return TrainingRows(matrix, log.bought, np.ones(len(log.bought)))


def estimates(log: OwnLog) -> dict[str, NDArray[np.float64]]:
    """Estimate the curve inside sales alone, with relevance, and with the true relevance."""
    rows = rows_of(log)
    shown = ShownExamples(log.positions, log.sale_days, log.bought, rows.weights)
    return {
        "inside sales": position_effect(shown),
        "with relevance": examination(rows, log.sale_days, schema=SCHEMA, seed=0).common,
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


def test_devices_have_curves_of_their_own_as_far_as_their_purchases_say(
    rng: np.random.Generator,
) -> None:
    """Phones, with 1,800 purchases, and desktops, with 900: the common curve is that of neither."""
    phone, desktop, _ = curves = DEVICE_CURVES["differ"]
    log = own_log(rng, curves, n_visits=N_VISITS, rate=0.03)

    found = examination(rows_of(log), log.sale_days, schema=SCHEMA, seed=0)

    assert found.devices.tolist() == [0, 1, 2]
    common, *own = found.curves
    for estimate, truth in zip(own[:2], (phone, desktop), strict=True):
        error = np.sqrt(np.square(estimate - truth).mean())
        assert error < 0.6 * np.sqrt(np.square(common - truth).mean())


def test_one_device_and_devices_with_few_purchases_have_the_common_curve(
    rng: np.random.Generator,
) -> None:
    log = own_log(rng, CURVES["root"], n_visits=N_VISITS, rate=0.003)
    rows, devices = rows_of(log), np.zeros(len(log.bought))
    one = examination(rows, log.sale_days, schema=SCHEMA, seed=0)
    # Some 15 purchases.
    devices[-5_000:] = 0.5
    rows.matrix[:, SCHEMA.names.index(POSITION_DEVICE)] = devices

    two = examination(rows, log.sale_days, schema=SCHEMA, seed=0)

    assert one.devices.tolist() == two.devices.tolist() == []
    assert two.common.tolist() == one.common.tolist()


@pytest.mark.prove
@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("world", DEVICE_CURVES)
def test_curves_by_device_are_no_worse_where_devices_are_alike(
    proof: Proof, world: str, rate: float
) -> None:
    """Where they differ, 1,000 purchases suffice to be nearer to each than the common curve."""
    curves, n_seeds = DEVICE_CURVES[world], proof.scale(N_SEEDS)
    squares: list[list[float]] = []
    for seed in range(n_seeds):
        log = own_log(np.random.default_rng(seed), curves, n_visits=N_VISITS, rate=rate)
        effect = examination(rows_of(log), log.sale_days, schema=SCHEMA, seed=0)
        places = np.arange(2, N_POSITIONS + 1)
        found = np.array(
            [effect.p_examined(places, np.full(len(places), one)) for one in range(len(curves))]
        )
        errors = [np.square(one - curves[:, 1:]).mean(axis=1) for one in (found, effect.common[1:])]
        squares.append([float(error @ DEVICE_SHARES) for error in errors])

    own, common = np.sqrt(np.mean(squares, axis=0)).tolist()
    if world == "alike":
        assert own < 1.2 * common
    elif rate >= 0.01:
        assert own < common
    proof.record(
        f"examination_devices_{world}_{rate:g}",
        {"seeds": n_seeds, "rmse": {"by device": own, "common": common}},
    )


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
