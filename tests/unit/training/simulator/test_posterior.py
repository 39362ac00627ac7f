import itertools

import numpy as np
import pytest

from training.simulator.behaviour import Reactions
from training.simulator.logging_policy import LoggedSlates
from training.simulator.posterior import Evidence, Posterior
from training.simulator.tastes import Market, Tastes

CLICK = np.array([[0.1, 0.3, 0.2], [0.4, 0.1, 0.2], [0.2, 0.2, 0.5], [0.3, 0.3, 0.1]])
BUY = np.array([[0.1, 0.2, 0.3], [0.2, 0.1, 0.1], [0.3, 0.1, 0.2], [0.1, 0.1, 0.4]])
MARKET = Market(np.arange(3), CLICK.astype(np.float32), BUY.astype(np.float32))


EXAMINED = np.array([1.0, 2**-0.5, 3**-0.5])
NONE_ALIKE = np.zeros((1, 3), dtype=np.int64)


def _visit(slate: list[int], reactions: list[str]) -> tuple[LoggedSlates, Reactions]:
    def where(*names: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.array([[reaction in names for reaction in reactions]])

    slates = LoggedSlates(np.array([slate]), np.ones((1, len(slate))))
    return slates, Reactions(
        seen=where("ignored", "clicked", "cart", "bought"),
        clicked=where("clicked", "cart", "bought"),
        interested=where("cart", "bought"),
        bought=where("bought"),
    )


def _probability(state: int, slate: list[int], reactions: list[str]) -> float:
    """The probability of a visit, from its definition."""
    total = 1.0
    for rank, (sale, reaction) in enumerate(zip(slate, reactions, strict=True), start=1):
        click, buy = CLICK[state, sale] * rank**-0.5, BUY[state, sale]
        total *= {
            "unseen": 1.0,
            "ignored": 1 - click,
            "clicked": click * (1 - buy**0.6),
            "cart": click * buy**0.6 * (1 - buy**0.4),
            "bought": click * buy,
        }[reaction]
    return float(total)


VISITS = [
    ([0, 1, 2], ["ignored", "clicked", "unseen"]),
    ([2, 0, 1], ["cart", "ignored", "ignored"]),
    ([1, 2, 0], ["bought", "ignored", "clicked"]),
]


def test_posterior_of_constant_tastes_is_bayes_rule() -> None:
    tastes = Tastes(np.zeros((4, 1)), n_regimes=1, transition=np.ones((1, 1)))
    posterior, evidence = Posterior(tastes, 1), Evidence(MARKET, EXAMINED)
    for slate, reactions in VISITS:
        posterior.move(np.array([0]))
        posterior.observe(
            np.array([0]), evidence.of_slates(*_visit(slate, reactions), similar=NONE_ALIKE)
        )

    joint = np.array([np.prod([_probability(s, *visit) for visit in VISITS]) for s in range(4)])
    np.testing.assert_allclose(
        posterior.probabilities(np.array([0]))[0], joint / joint.sum(), rtol=1e-5
    )


def test_posterior_of_switching_tastes_sums_over_all_paths_of_regimes() -> None:
    """Two types with two regimes each: state = 2 * type + regime."""
    transition = np.array([[0.8, 0.2], [0.2, 0.8]])
    posterior = Posterior(Tastes(np.zeros((4, 1)), 2, transition), 1)
    evidence = Evidence(MARKET, EXAMINED)
    for slate, reactions in VISITS:
        posterior.move(np.array([0]))
        posterior.observe(
            np.array([0]), evidence.of_slates(*_visit(slate, reactions), similar=NONE_ALIKE)
        )

    joint = np.zeros(4)
    for kind, path in itertools.product(range(2), itertools.product(range(2), repeat=3)):
        p = 0.25 * np.prod([transition[a, b] for a, b in itertools.pairwise(path)])
        for regime, visit in zip(path, VISITS, strict=True):
            p *= _probability(2 * kind + regime, *visit)
        joint[2 * kind + path[-1]] += p
    np.testing.assert_allclose(
        posterior.probabilities(np.array([0]))[0], joint / joint.sum(), rtol=1e-5
    )


def test_a_sale_behind_similar_ones_says_less_when_it_is_passed_over() -> None:
    """Each of two similar sales above takes half of the attention; clicks say the same."""
    evidence = Evidence(MARKET, EXAMINED, similar_attention=0.5)
    slates, reactions = _visit([0, 1, 2], ["ignored", "ignored", "clicked"])

    likelihood = evidence.of_slates(slates, reactions, similar=np.array([[0, 1, 2]]))

    looked = EXAMINED * np.array([1.0, 0.5, 0.25])
    ignored = (1 - looked[0] * CLICK[:, 0]) * (1 - looked[1] * CLICK[:, 1])
    expected = ignored * CLICK[:, 2] * (1 - BUY[:, 2] ** 0.6)
    np.testing.assert_allclose(np.exp(likelihood[0]), expected, rtol=1e-5)


def test_a_view_counts_as_a_choice_among_what_is_on_sale() -> None:
    """State 0 chooses sale 1 among 0 and 1 with 0.3 / 0.4."""
    eligible = np.array([[True, True, False]])

    likelihood = Evidence(MARKET, EXAMINED).of_views(np.array([1]), eligible)

    assert np.exp(likelihood[0, 0]) == pytest.approx(0.75)
    assert np.exp(likelihood[0, 1]) == pytest.approx(0.2)


def test_a_prior_gives_all_states_the_same_probability() -> None:
    tastes = Tastes(np.zeros((4, 1)), n_regimes=1, transition=np.ones((1, 1)))

    probabilities = Posterior(tastes, 2).probabilities(np.array([1]))

    assert probabilities.tolist() == [[0.25, 0.25, 0.25, 0.25]]
