"""Requirements of a log for off-policy estimates."""

from dataclasses import replace

import numpy as np
import pytest

from models.slate.exploration import plackett_luce, plackett_luce_propensities
from training.off_policy.policy_value import value_policy
from training.off_policy.rounds import Rounds
from training.off_policy.support import (
    NoSupportError,
    Support,
    TooFewRoundsError,
    require_support,
)


def log(logging: list[float], target: list[float], *, copies: int = 100) -> Rounds:
    """Slates of one position, each with a reward, so many times."""
    shown = np.repeat(np.array([logging, target]), copies, axis=1)[:, :, None]
    none = np.zeros_like(shown[0])
    return Rounds(
        rewards=none + 1.0,
        logging=shown[0],
        target=shown[1],
        predicted=none,
        expected=none,
        direct=none,
        units=np.arange(len(none)),
    )


def support(rounds: Rounds, *, clip: float = np.inf, min_rewarded: float = 30.0) -> Support:
    weights = np.minimum(rounds.weights, clip)
    return require_support(rounds, weights, clip=clip, min_rewarded=min_rewarded)


def test_a_certain_log_says_nothing_of_another_policy() -> None:
    """The target shows what was logged with 0.4: with 0.6 it shows what never was."""
    with pytest.raises(NoSupportError, match=r"100 of 200 logged slates .* probability 0\.6 on"):
        support(log([1.0, 0.5], [0.4, 0.5]))


def test_a_certain_log_says_everything_of_the_same_policy() -> None:
    found = support(log([1.0], [1.0]))

    assert found.effective == (100.0,)
    assert found.mean_weight == 1.0


def test_what_few_certain_slates_leave_out_is_reported() -> None:
    """One of 500 is certain of a sale that the target shows with 0.4."""
    found = support(log([0.5] * 499 + [1.0], [0.5] * 499 + [0.4], copies=1))

    assert found.unsupported == pytest.approx(0.6 / 500)
    assert support(log([0.5], [0.5])).unsupported == 0.0


def test_a_place_that_only_rounding_makes_certain_is_not_called_one_without_chance() -> None:
    """Of 100 equal sales ten in a given order are drawn once in 10^20 answers.

    So of slates that are not drawn the last propensities are 1 in floating point. The target
    draws from a reversed order, so that the log is worth little to it: that is what is wrong.
    """
    utilities = np.linspace(0.1, 0.0, num=100)
    reversed_too = utilities[::-1]
    ranking = np.arange(100)
    slates = [
        plackett_luce(ranking, utilities, limit=10, share=0.02, seed=seed) for seed in range(500)
    ]
    logging = np.array([slate.propensities for slate in slates])
    target = np.array([plackett_luce_propensities(reversed_too, slate.picks) for slate in slates])
    none = np.zeros_like(target)
    rounds = Rounds(none + 1.0, logging, target, none, none, none, np.arange(500))

    assert (logging == 1).any()
    with pytest.raises(TooFewRoundsError, match="500 logged slates, 500 with a reward"):
        support(rounds)


def test_nothing_is_asked_below_a_slate_that_the_target_never_shows() -> None:
    """Its last sale was certain, but what stands above it already weighs nothing."""
    two = np.array([[0.5, 1.0]] * 200)
    target = np.array([[0.0, 0.5], [1.0, 1.0]] * 100)
    none = np.zeros_like(two)
    rounds = Rounds(none + 1.0, two, target, none, none, none, np.arange(200))

    assert support(rounds).mean_weight == 1.0


def test_a_policy_that_shows_mostly_what_never_was_is_refused() -> None:
    """Drawn from two sales evenly; the target gives each 0.1, the rest to a third one."""
    with pytest.raises(
        NoSupportError,
        match=r"average 0\.2 .* shows what the logging policy never shows: judge only answers",
    ):
        support(log([0.5, 0.5], [0.1, 0.1]))


def test_propensities_that_the_log_was_not_made_by_are_refused() -> None:
    """Two sales drawn evenly, logged as if of ten."""
    with pytest.raises(
        NoSupportError, match=r"average 5 .* propensities are not those .* Export again"
    ):
        support(log([0.1, 0.1], [0.5, 0.5]))


def test_a_log_worth_too_few_rewarded_rounds_is_refused_and_says_of_how_many() -> None:
    """40 slates of weight 2 and 40 of weight 0 are worth 40."""
    rounds = log([0.5, 0.5], [1.0, 0.0], copies=40)

    assert support(rounds, min_rewarded=40).effective_rewarded == 40.0
    with pytest.raises(TooFewRoundsError, match=r"80 logged slates, 80 with .* as 40 slates"):
        support(rounds, min_rewarded=41)


def test_rounds_without_a_reward_do_not_support_a_value() -> None:
    """Of 1,000 slates 20 bring something: weights 1 and 3 in turn, so (10 + 30)² / (10 + 90)."""
    rounds = log([0.5, 0.5], [0.5, 0.5], copies=500)
    rewards = np.zeros_like(rounds.rewards)
    rewards[:20] = 1.0
    target = np.full_like(rounds.target, 0.5)
    target[:10], target[10:20] = 0.25, 0.75
    rare = replace(rounds, rewards=rewards, target=target)

    assert support(rare, min_rewarded=16).effective_rewarded == pytest.approx(16.0)
    with pytest.raises(TooFewRoundsError, match="1000 logged slates, 20 with a reward"):
        support(rare)


def test_a_refusal_advises_what_is_left() -> None:
    """Two places, each weight 2 or 0: the first counts as 40, and both do."""
    one = log([0.5, 0.5], [1.0, 0.0], copies=40)
    certain = np.ones_like(one.target)
    below = {"logging": certain, "target": certain}
    two = replace(
        one,
        **{
            name: np.hstack([getattr(one, name), below.get(name, np.zeros_like(certain))])
            for name in ("rewards", "logging", "target", "predicted", "expected", "direct")
        },
    )

    with pytest.raises(TooFewRoundsError) as of_two:
        value_policy(two, seed=0, min_rewarded=50, advice=["value clicks"])
    with pytest.raises(TooFewRoundsError) as of_one:
        value_policy(one, seed=0, min_rewarded=50)

    others = "wait for about 2 times the answers, explore more of them, or compare both by an"
    assert str(of_two.value) == (
        "80 logged slates, 80 with a reward, count as 40 slates of the target policy with a reward,"
        " 50 are needed; with or without one they count as 40, 40 where the first 1, 2 positions"
        f" are judged. What helps: judge fewer positions (--positions), value clicks, {others}"
        " interleaving"
    )
    assert str(of_one.value).endswith(f"count as 40. What helps: {others} interleaving")


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(TooFewRoundsError, match="0 logged slates"):
        value_policy(log([1.0], [1.0], copies=0), seed=0)


def test_a_log_without_a_single_slate_of_the_target_is_refused() -> None:
    with pytest.raises(TooFewRoundsError, match=r"200 logged slates.* as 0 slates"):
        support(log([0.5, 0.5], [0.0, 0.0]))


def test_what_clipping_cut_off_is_told() -> None:
    """Weights are 1.75 and 0.25: of each 2, 0.25 lie above 1.5."""
    found = support(log([0.5, 0.5], [0.875, 0.125]), clip=1.5)

    assert found.clipped_rounds == 0.5
    assert found.clipped_mass == pytest.approx(0.125)
    assert found.largest_weight == 1.75
    assert found.effective[0] == pytest.approx(200 * 0.875**2 / ((1.5**2 + 0.25**2) / 2))
