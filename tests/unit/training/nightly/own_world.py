"""A shop whose log is ordered by its own model: sixty sales, ten places, 2% of answers drawn."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.slate.exploration import plackett_luce_propensities
from training.nightly.own_log import OwnLog, added_value, shared_value

N_SALES: Final = 60
N_SHOWN: Final = 10
SHARE: Final = 0.02
TEMPERATURE: Final = 0.3
BASE: Final = -6.0
"""Mean of the true log-odds."""
SPREAD: Final = 1.0
"""Standard deviation of the true log-odds among the sales of an answer."""
LOOKED_AT: Final = 1 / (1 + 0.35 * np.arange(N_SHOWN))


SEES: Final = 0.7
"""Standard deviation of the champion's errors in the log-odds."""
N_LIKELIHOODS: Final = 4_000


@dataclass(frozen=True)
class Candidate:
    """A candidate, which sees true log-odds with errors; a part of them is the champion's.

    Attributes:
        error: Standard deviation of its errors; the champion's is `SEES`.
        common: Correlation with the champion's errors.
    """

    error: float
    common: float

    def scores(
        self, truth: NDArray[np.float64], champions: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return its log-odds.

        Args:
            truth: The true log-odds.
            champions: The champion's errors in standard deviations, same shape.
            rng: Draws its own errors.
        """
        own = rng.standard_normal(truth.shape)
        errors = self.common * champions + np.sqrt(1 - self.common**2) * own
        return calibrated(truth, self.error * errors, error=self.error)

    @cached_property
    def lift(self) -> float:
        """Purchases of the candidate's slates over those of the champion's, minus 1."""
        rng = np.random.default_rng(1)
        shape = (40_000, N_SALES)
        truth = BASE + SPREAD * rng.standard_normal(shape)
        errors = rng.standard_normal(shape)
        champion = calibrated(truth, SEES * errors, error=SEES)
        return value(truth, self.scores(truth, errors, rng)) / value(truth, champion) - 1


def calibrated(
    truth: NDArray[np.float64], errors: NDArray[np.float64], *, error: float
) -> NDArray[np.float64]:
    """What a model expects that sees log-odds with errors: shrunk towards the mean."""
    slope = SPREAD**2 / (SPREAD**2 + error**2)
    return BASE + slope * (truth - BASE + errors)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def first_places(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    found = np.argpartition(-scores, N_SHOWN, axis=1)[:, :N_SHOWN]
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1)
    return np.take_along_axis(found, order, axis=1)


def value(truth: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    shown = sigmoid(np.take_along_axis(truth, first_places(scores), axis=1))
    return float((shown * LOOKED_AT).sum(axis=1).mean())


@dataclass(frozen=True, eq=False)
class ShopNight:
    """Answers of a night in the champion's order, those with a purchase and a sample of all.

    Attributes:
        truth: True log-odds, shape ``(n, N_SALES)``.
        errors: The champion's errors in standard deviations, same shape.
        shown: Sales by place, shape ``(n, N_SHOWN)``.
        bought: Whether each was bought, same shape.
        is_drawn: Whether chance made the answer, shape ``(n,)``.
        n_followed: The first so many of the answers are all that led to a purchase.
        is_sampled: Which answers judge likelihoods, shape ``(n,)``.
        rate: Share of all that was shown that was bought.
    """

    truth: NDArray[np.float64]
    errors: NDArray[np.float64]
    shown: NDArray[np.intp]
    bought: NDArray[np.bool_]
    is_drawn: NDArray[np.bool_]
    n_followed: int
    is_sampled: NDArray[np.bool_]
    rate: float

    @property
    def champion(self) -> NDArray[np.float64]:
        """The champion's log-odds."""
        return calibrated(self.truth, SEES * self.errors, error=SEES)


def shop_night(n: int, rng: np.random.Generator) -> ShopNight:
    """Show so many answers in the champion's order, draw some, and let customers buy."""
    truth = BASE + SPREAD * rng.standard_normal((n, N_SALES))
    errors = rng.standard_normal((n, N_SALES))
    noisy = calibrated(truth, SEES * errors, error=SEES) / TEMPERATURE
    is_drawn = rng.random(n) < SHARE
    noisy[is_drawn] += rng.gumbel(size=(int(is_drawn.sum()), N_SALES))
    shown = first_places(noisy)
    chance = LOOKED_AT * sigmoid(np.take_along_axis(truth, shown, axis=1))
    bought = rng.random(chance.shape) < chance
    is_followed, is_sampled = bought.any(axis=1), np.arange(n) < N_LIKELIHOODS
    kept = np.concatenate([np.flatnonzero(is_followed), np.flatnonzero(is_sampled & ~is_followed)])
    return ShopNight(
        truth[kept],
        errors[kept],
        shown[kept],
        bought[kept],
        is_drawn[kept],
        n_followed=int(is_followed.sum()),
        is_sampled=is_sampled[kept],
        rate=float(bought.mean()),
    )


@dataclass(frozen=True)
class NightLog:
    """The log of a night, with what both models say of it.

    Attributes:
        own: What the gate reads of it.
        recall: Purchases that each model has among its first ten sales, champion first, shape
            ``(n_bought, 2)``.
        reciprocal: Reciprocal rank of the first purchase in the list that was shown, same shape.
        likelihoods: Mean log likelihood of a sample of slates: champion, candidate, one rate, shape
            ``(n_sample, 3)``.
    """

    own: OwnLog
    recall: NDArray[np.float64]
    reciprocal: NDArray[np.float64]
    likelihoods: NDArray[np.float64] = field(repr=False)


def night_log(night: ShopNight, candidate: Candidate, rng: np.random.Generator) -> NightLog:
    """Return what the gate reads of a night, and what a candidate says of it."""
    scores = np.stack([night.champion, candidate.scores(night.truth, night.errors, rng)])
    followed = slice(0, night.n_followed)
    shown, bought = night.shown[followed], night.bought[followed]
    ranks = np.argsort(np.argsort(-scores[:, followed], axis=2), axis=2)
    ranks = np.take_along_axis(ranks, shown[None], axis=2)
    rows = [_valued(night, answer, ranks=ranks[:, answer]) for answer in range(night.n_followed)]
    values = np.array(rows).reshape(-1, 3)
    among = ((ranks < N_SHOWN) & bought).sum(axis=2) / bought.sum(axis=1)
    # Among what was shown, ranks by the scores of these ten.
    within = np.argsort(np.argsort(ranks, axis=2), axis=2)
    first = np.where(bought, within, N_SHOWN).min(axis=2)
    return NightLog(
        OwnLog(np.arange(night.n_followed), values[:, 0], values[:, 1], values[:, 2]),
        among.T,
        1 / (1 + first.T),
        _likelihoods(night, scores),
    )


def _valued(
    night: ShopNight, answer: int, *, ranks: NDArray[np.intp]
) -> tuple[float, float, float]:
    places = np.flatnonzero(night.bought[answer])
    champions, candidates = ranks[:, places]
    if not night.is_drawn[answer]:
        return float(len(places)), shared_value(places, candidates, p_examined=LOOKED_AT), 0.0
    utilities = night.champion[answer] / TEMPERATURE
    is_added = champions >= N_SHOWN
    added = added_value(
        places[is_added],
        candidates[is_added],
        p_examined=LOOKED_AT,
        propensities=plackett_luce_propensities(utilities, night.shown[answer]),
    )
    return 0.0, 0.0, added * (1 - SHARE) / SHARE


def _likelihoods(night: ShopNight, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shown, bought = night.shown[night.is_sampled], night.bought[night.is_sampled]
    chances = [
        LOOKED_AT * sigmoid(np.take_along_axis(one[night.is_sampled], shown, axis=1))
        for one in scores
    ]
    chances.append(np.broadcast_to(LOOKED_AT * night.rate / LOOKED_AT.mean(), bought.shape))
    found = [np.where(bought, np.log(p), np.log1p(-p)).mean(axis=1) for p in chances]
    return np.stack(found, axis=1)
