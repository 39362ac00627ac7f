"""Values of whole slates and of their first places, where a log says enough of either."""

import numpy as np
import pytest

from training.off_policy.document import places_json
from training.off_policy.policy_value import PlaceValues, Valuation, value_places
from training.off_policy.rounds import Rounds
from training.off_policy.support import RefusedError, TooFewRoundsError

N_ROUNDS = 200


def log(n_same_below: int) -> Rounds:
    """Four places drawn as the target draws; at the last, so many show the target's sale.

    Each slate brings one reward, at the first place.
    """
    shape = (N_ROUNDS, 4)
    logging, target, rewards = np.full(shape, 0.5), np.full(shape, 0.5), np.zeros(shape)
    rewards[:, 0] = 1.0
    logging[:, 3] = n_same_below / N_ROUNDS
    target[:, 3] = np.arange(N_ROUNDS) < n_same_below
    none = np.zeros(shape)
    return Rounds(rewards, logging, target, none, none, none, np.arange(N_ROUNDS))


def values(rounds: Rounds) -> PlaceValues:
    return value_places(rounds, seed=0, clip=None, min_rewarded=30)


def test_where_whole_slates_are_refused_the_first_places_are_valued() -> None:
    found = values(log(20))

    assert isinstance(found.whole, TooFewRoundsError)
    assert isinstance(found.first, Valuation)
    assert found.first.target["rips"].value == 1.0
    written = places_json(found)
    assert "20 slates of the target policy with a reward, 30 are needed" in str(written["refusal"])
    assert isinstance(written["first_3"], dict)


def test_slates_of_three_places_are_valued_once() -> None:
    assert values(log(20).top(3)).first is None


def test_a_log_that_says_too_little_of_both_is_refused() -> None:
    with pytest.raises(RefusedError, match="10 logged slates"):
        values(
            Rounds(
                **{
                    name: getattr(log(20), name)[:10]
                    for name in ("rewards", "logging", "target", "predicted", "expected")
                },
                direct=log(20).direct[:10],
                units=np.arange(10),
            )
        )
