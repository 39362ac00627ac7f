"""Target policy, and the probabilities of logged slates under it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import UserError
from models.query.query import Query
from models.ranker.ranker import log_odds
from models.scoring.scorer import Scorer
from models.slate.exploration import (
    mixture_propensities,
    plackett_luce_propensities,
)
from models.slate.shortlist import shortlisted
from models.slate.slate import best, make_slate
from models.slate.slate_policy import PlackettLuce, SlatePolicy

# Slates that the mean prediction of a policy of chance is taken over. Chosen, not measured: the
# mean is over thousands of answers too.
N_DRAWS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A logged slate under the target policy; see `training.off_policy.rounds.Rounds`.

    All arrays have shape ``(n_shown,)``.
    """

    target: NDArray[np.float64]
    predicted: NDArray[np.float64]
    expected: NDArray[np.float64]
    direct: NDArray[np.float64]


class TargetError(UserError):
    """A policy whose probabilities of a logged slate cannot be computed."""


@dataclass(frozen=True)
class TargetPolicy:
    """Target policy: a policy of a bundle, deterministic or randomised.

    Attributes:
        scorer: The bundle; the policy's own ``bundle`` says nothing here.
        policy: How slates are made.
        by_price: Whether predictions are of money instead of purchases.
    """

    scorer: Scorer
    policy: SlatePolicy
    by_price: bool = False

    def __post_init__(self) -> None:
        """Check that the bundle has the policy, and that its probabilities can be computed.

        Raises:
            TargetError: If not.
        """
        if self.policy.order_by not in self.scorer.policies:
            known = ", ".join(self.scorer.policies)
            msg = f"no policy {self.policy.order_by!r}; this bundle has {known}"
            raise TargetError(msg)
        explores = self.policy.exploration
        if explores is not None and (
            not isinstance(explores, PlackettLuce) or self.policy.diversity
        ):
            msg = "a target policy explores by Plackett-Luce and without diversity, or not at all"
            raise TargetError(msg)

    def view(self, query: Query, shown: NDArray[np.int64], *, rng: np.random.Generator) -> View:
        """Score a query and look at the slate that was logged for it.

        Args:
            query: Customer, catalogue, context and candidates.
            shown: Which of the candidates were shown, by rank, shape ``(n_shown,)``.
            rng: Draws slates where chance decides.
        """
        query, shown = self._ranked_in_full(query, shown)
        scores = self.scorer.score(query, self.policy.order_by)
        worth = scores.probabilities
        if self.by_price:
            # A sale of unknown price brings no money.
            worth = worth * np.nan_to_num(scores.prices, nan=0.0)
        match self.policy.exploration:
            case PlackettLuce(temperature=temperature, share=share):
                ranking = best(scores.order, len(worth))
                utilities = np.empty(len(worth))
                # As `models.slate.slate.make_slate` gives them to the ranks.
                utilities[ranking] = np.sort(log_odds(scores.probabilities))[::-1] / temperature
                drawn = _drawn(utilities, shown, worth, rng=rng)
                return _mixed(drawn, ranking[: len(shown)], shown, worth=worth, share=share)
            case _:
                slate = make_slate(query, scores, policy=self.policy, limit=len(shown), seed=0)
                # Below another sale the policy would go on otherwise; such slates weigh nothing.
                picks, is_same = slate.picks, (slate.picks == shown).astype(np.float64)
                return View(is_same, worth[shown], worth[picks], worth[picks])

    def _ranked_in_full(
        self, query: Query, shown: NDArray[np.int64]
    ) -> tuple[Query, NDArray[np.int64]]:
        """Return the policy's shortlist with what was shown, and the places of that."""
        short = shortlisted(query, self.scorer, policy=self.policy, limit=len(shown))
        if short is query:
            return query, shown
        rows = query.rows[shown]
        both = query.select(np.union1d(short.rows, rows))
        return both, both.rows.searchsorted(rows)


def _mixed(
    drawn: View,
    head: NDArray[np.intp],
    shown: NDArray[np.int64],
    *,
    worth: NDArray[np.float64],
    share: float,
) -> View:
    """Mix drawn slates with the certain one, as `models.slate.exploration.plackett_luce` does."""
    target = mixture_propensities(drawn.target, head == shown, share=share)
    # P(drawn) at each position, given the sales above it.
    given = share * np.concatenate([[1.0], np.cumprod(drawn.target / target)[:-1]])
    return View(
        target=target,
        predicted=drawn.predicted,
        expected=given * drawn.expected + (1.0 - given) * worth[head],
        direct=share * drawn.direct + (1.0 - share) * worth[head],
    )


def _drawn(
    utilities: NDArray[np.float64],
    shown: NDArray[np.int64],
    worth: NDArray[np.float64],
    *,
    rng: np.random.Generator,
) -> View:
    # Row k holds what is left at position k, below the sales logged above it,
    # shape (n_shown, n_candidates).
    left = np.tile(utilities, (len(shown), 1))
    for position in range(1, len(shown)):
        left[position:, shown[position - 1]] = -np.inf
    # The largest is subtracted: exp(0) cannot overflow.
    odds = np.exp(left - left.max(axis=1, keepdims=True))
    chances = odds / odds.sum(axis=1, keepdims=True)
    # Utilities with Gumbel noise, sorted, are a Plackett-Luce draw (Yellott, 1977).
    noise = rng.gumbel(size=(N_DRAWS, len(utilities)))
    slates = np.argsort(-(utilities + noise), axis=1)[:, : len(shown)]
    return View(
        target=plackett_luce_propensities(utilities, shown),
        predicted=worth[shown],
        expected=chances @ worth,
        direct=worth[slates].mean(axis=0),
    )
