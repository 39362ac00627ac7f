"""One real policy valued from the other's log, and how logs become rounds."""

import numpy as np
import pytest

from tests.proofs import Proof
from tests.shared import shared_data
from training.importers.open_bandit import CAMPAIGNS, BanditLog
from training.off_policy.bandit import Crossing, bandit_rounds, cross_policies


def test_a_row_is_a_round_of_one_position() -> None:
    """The model of even rows learns from odd ones, of which none was clicked, and the reverse.

    Both even rows show item 0: its rate is (2 + 200 · 1) / (2 + 200) there.
    """
    log = BanditLog(
        items=np.array([0, 1, 0, 1]),
        positions=np.array([1, 1, 2, 2]),
        clicks=np.array([1.0, 0.0, 1.0, 0.0]),
        propensities=np.array([0.5, 0.5, 0.25, 0.75]),
    )
    target = np.array([[0.0, 0.0], [0.2, 0.8], [0.6, 0.4]])

    rounds = bandit_rounds(log, target)

    np.testing.assert_array_equal(rounds.target[:, 0], [0.2, 0.8, 0.6, 0.4])
    np.testing.assert_allclose(rounds.weights[:, 0], [0.4, 1.6, 2.4, 0.4 / 0.75])
    np.testing.assert_allclose(rounds.predicted[:, 0], [0.0, 200 / 200, 0.0, 200 / 200])
    np.testing.assert_allclose(rounds.direct[:, 0], [0.0, 1.0, 0.0, 1.0])


def figures(one: Crossing) -> dict[str, object]:
    """What a proof records of a crossing."""
    assert one.valuation is not None, one.refusal
    support = one.valuation.support
    errors = one.relative_errors()
    return {
        "own": [one.own.value, one.own.low, one.own.high],
        "clicks": round(one.own.value * one.own.n),
        "effective": support.effective[-1],
        "mean_weight": support.mean_weight,
        "largest_weight": support.largest_weight,
        "clipped_mass": support.clipped_mass,
        "estimators": {
            name: {"value": found.value, "low": found.low, "high": found.high}
            | {"relative_error": errors[name]}
            for name, found in one.valuation.target.items()
        },
    }


@pytest.mark.prove
def test_each_policy_is_valued_from_the_log_of_the_other(proof: Proof) -> None:
    """46 to 69 clicks do not give a rate within a third: intervals only overlap."""
    campaigns = CAMPAIGNS[: proof.scale(len(CAMPAIGNS))]

    crossings = cross_policies(shared_data("open_bandit"), campaigns, seed=0)

    assert len(crossings) == 2 * len(campaigns)
    for one in crossings:
        assert one.valuation is not None, one.refusal
        for name in ("ips", "snips", "dr", "iips"):
            found = one.valuation.target[name]
            assert found.low <= one.own.high, (one, name)
            assert found.high >= one.own.low, (one, name)
    named = {f"{one.campaign}: {one.target} from {one.logging}": figures(one) for one in crossings}
    proof.record("off-policy-open-bandit", named)
