"""A shop whose log is ordered by its own model: sixty sales, ten places, 2% of answers drawn."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.nightly.own_log import OwnLog, added_value, shared_value

N_SALES: Final = 60
N_SHOWN: Final = 10
SHARE: Final = 0.02
TEMPERATURE: Final = 0.3
SPREAD: Final = 1.0
"""Standard deviation of the true log-odds among the sales of an answer."""
LOOKED_AT: Final = 1 / (1 + 0.35 * np.arange(N_SHOWN))


@dataclass(frozen=True)
class OwnWorld:
    """Champion and candidate see true log-odds with errors; a part of the errors is common.

    Attributes:
        base: Mean of the true log-odds.
        error: Standard deviation of the champion's errors.
        other: The candidate's.
        common: Correlation of the two errors.
    """

    base: float
    error: float
    other: float
    common: float

    def scores(
        self, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """True log-odds, and those of champion and candidate, each of shape ``(n, N_SALES)``."""
        truth = self.base + SPREAD * rng.standard_normal((n, N_SALES))
        first = rng.standard_normal((n, N_SALES))
        second = self.common * first + np.sqrt(1 - self.common**2) * rng.standard_normal(
            (n, N_SALES)
        )
        return (
            truth,
            calibrated(truth, self.base, self.error * first),
            calibrated(truth, self.base, self.other * second),
        )

    @cached_property
    def lift(self) -> float:
        """Purchases of the candidate's slates over those of the champion's, minus 1."""
        truth, champion, candidate = self.scores(40_000, np.random.default_rng(1))
        return value(truth, candidate) / value(truth, champion) - 1


def calibrated(
    truth: NDArray[np.float64], base: float, error: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What a model expects that sees log-odds with an error: shrunk towards the mean."""
    slope = SPREAD**2 / (SPREAD**2 + float(np.square(error).mean()))
    return base + slope * (truth - base + error)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def first_places(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    found = np.argpartition(-scores, N_SHOWN, axis=1)[:, :N_SHOWN]
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1)
    return np.take_along_axis(found, order, axis=1)


def value(truth: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    shown = sigmoid(np.take_along_axis(truth, first_places(scores), axis=1))
    return float((shown * LOOKED_AT).sum(axis=1).mean())


@dataclass(frozen=True)
class NightLog:
    """The log of a night, with what both models say of it.

    Attributes:
        own: What the gate reads of it.
        recall: Purchases of certain and drawn answers that each model has among its first ten
            sales, champion first, shape ``(n_bought, 2)``.
        reciprocal: Reciprocal rank of the first purchase in the list that was shown, same shape.
        likelihoods: Mean log likelihood of a sample of slates: champion, candidate, one rate, shape
            ``(n_sample, 3)``.
    """

    own: OwnLog
    recall: NDArray[np.float64]
    reciprocal: NDArray[np.float64]
    likelihoods: NDArray[np.float64] = field(repr=False)


def night(
    world: OwnWorld, n: int, rng: np.random.Generator, *, assumed: NDArray[np.float64] = LOOKED_AT
) -> NightLog:
    """Show so many answers in the champion's order, draw some, and let customers buy.

    Args:
        world: The shop.
        n: Number of answers.
        rng: Draws everything.
        assumed: What the gate takes for how much each place is looked at.
    """
    truth, champion, candidate = world.scores(n, rng)
    utilities = champion / TEMPERATURE
    is_drawn = rng.random(n) < SHARE
    noisy = utilities.copy()
    noisy[is_drawn] += rng.gumbel(size=(int(is_drawn.sum()), N_SALES))
    shown = first_places(noisy)
    chance = LOOKED_AT * sigmoid(np.take_along_axis(truth, shown, axis=1))
    bought = rng.random(chance.shape) < chance
    followed = np.flatnonzero(bought.any(axis=1))
    ranks = np.argsort(np.argsort(-candidate[followed], axis=1), axis=1)
    tops = first_places(champion[followed])
    rows: list[tuple[float, float, float]] = []
    recall: list[tuple[float, float]] = []
    reciprocal: list[tuple[float, float]] = []
    for index, answer in enumerate(followed.tolist()):
        places = np.flatnonzero(bought[answer])
        sales = shown[answer, places]
        new = ranks[index, sales]
        if is_drawn[answer]:
            is_added = ~np.isin(sales, tops[index])
            odds = np.exp(utilities[answer] - utilities[answer].max())
            picked = odds[shown[answer]]
            drawn = picked / (odds.sum() - (np.cumsum(picked) - picked))
            added = added_value(
                places[is_added], new[is_added], p_examined=assumed, propensities=drawn
            )
            rows.append((0.0, 0.0, added * (1 - SHARE) / SHARE))
        else:
            rows.append((float(len(places)), shared_value(places, new, p_examined=assumed), 0.0))
        recall.append(
            (
                np.count_nonzero(np.isin(sales, tops[index])) / len(sales),
                np.count_nonzero(new < N_SHOWN) / len(sales),
            )
        )
        reciprocal.append(
            (
                _best_rank(champion[answer, shown[answer]], places),
                _best_rank(candidate[answer, shown[answer]], places),
            )
        )
    values = np.array(rows).reshape(-1, 3)
    own = OwnLog(followed, values[:, 0], values[:, 1], values[:, 2])
    return NightLog(
        own,
        np.array(recall).reshape(-1, 2),
        np.array(reciprocal).reshape(-1, 2),
        _likelihoods(champion, candidate, shown, bought, assumed=assumed),
    )


def _best_rank(scores: NDArray[np.float64], places: NDArray[np.intp]) -> float:
    return float(1 / (1 + np.argsort(np.argsort(-scores))[places].min()))


def _likelihoods(
    champion: NDArray[np.float64],
    candidate: NDArray[np.float64],
    shown: NDArray[np.intp],
    bought: NDArray[np.bool_],
    *,
    assumed: NDArray[np.float64],
) -> NDArray[np.float64]:
    sample = slice(0, 4_000)
    outcome = bought[sample]
    rate = assumed * (np.count_nonzero(bought) / bought.size) / (assumed.sum() / len(assumed))
    chances = [
        assumed * sigmoid(np.take_along_axis(scores[sample], shown[sample], axis=1))
        for scores in (champion, candidate)
    ]
    chances.append(np.broadcast_to(rate, outcome.shape))
    found = [np.where(outcome, np.log(p), np.log1p(-p)).sum(axis=1) / N_SHOWN for p in chances]
    return np.stack(found, axis=1)
