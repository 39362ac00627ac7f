"""Value of a candidate from a log that the champion made itself.

The champion chose what its log holds, so that measures on it favour the champion: a candidate is
as good only if it chooses the same. Two parts of the log judge without that. Certain answers judge
the sales that both would show, each purchase weighted by how much it is looked at where the
candidate puts it. Explored answers judge the sales that only the candidate would show.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.statistics.bootstrap import Interval, resample
from training.statistics.effective_size import MIN_REWARDED, effective_size


@dataclass(frozen=True, slots=True, eq=False)
class OwnLog:
    """Purchases of answers that the champion made, as values of champion and candidate.

    A row is an answer with a purchase; others bring nothing to either.

    Attributes:
        customers: Customer of each, shape ``(n,)``.
        champion: Purchases that the champion's own list would bring of the sales that were shown,
            of certain answers, else 0, same shape. As it is asked again, these are the purchases
            but for sales that the replay orders otherwise than the service did. Where all answers
            are drawn, what they say of the champion's list.
        shared: The same of the candidate's list.
        added: Purchases of sales that only the candidate shows, of explored answers, times the
            certain answers for each explored one, same shape.
        all_drawn: Whether all answers are drawn: nothing is left to add.
    """

    customers: NDArray[np.int64]
    champion: NDArray[np.float64]
    shared: NDArray[np.float64]
    added: NDArray[np.float64]
    all_drawn: bool = False


@dataclass(frozen=True, slots=True)
class OwnLogValue:
    """Value of a candidate, as a share of the champion's, minus 1.

    Attributes:
        n_purchases: Effective purchases that judge the champion.
        at_least: Without what the candidate alone shows, which brings 0 or more; None if no
            purchase judges the champion.
        whole: With it; None if too few explored purchases judge it.
        explored: Effective explored purchases of sales that only the candidate shows.
    """

    n_purchases: float
    at_least: Interval | None
    whole: Interval | None
    explored: float


def value_of(log: OwnLog, *, seed: int) -> OwnLogValue:
    """Value a candidate, with 95% intervals over customers.

    Args:
        log: See `OwnLog`.
        seed: Seed of the resamples.
    """
    purchases, explored = (float(effective_size(one)) for one in (log.champion, log.added))
    if not purchases:
        return OwnLogValue(0.0, None, None, explored)
    values = np.stack([log.shared, log.shared + log.added], axis=1)
    per = np.repeat(log.champion[:, None], values.shape[1], axis=1)
    at_least, whole = resample(values, log.customers, seed=seed, per=per).intervals()
    is_whole = log.all_drawn or explored >= MIN_REWARDED
    return OwnLogValue(
        purchases, _less_one(at_least), _less_one(whole) if is_whole else None, explored
    )


def _less_one(one: Interval) -> Interval:
    return Interval(one.value - 1, one.low - 1, one.high - 1, one.n)


def shared_value(
    places: NDArray[np.intp], ranks: NDArray[np.intp], *, p_examined: NDArray[np.float64]
) -> float:
    """Return the purchases that other places of the sales bought would bring.

    Args:
        places: Where they stood, from 0, shape ``(n_bought,)``.
        ranks: Where they would stand, from 0; beyond the slate if not at all, same shape.
        p_examined: P(examined) by place, relative to the first, shape ``(n_shown,)``.
    """
    looked_at = np.zeros(len(ranks))
    is_shown = ranks < len(p_examined)
    looked_at[is_shown] = p_examined[ranks[is_shown]]
    return float((looked_at / p_examined[places]).sum())


def added_value(
    places: NDArray[np.intp],
    ranks: NDArray[np.intp],
    *,
    p_examined: NDArray[np.float64],
    propensities: NDArray[np.float64],
) -> float:
    """Estimate what a slate brings that was not the one drawn, from the purchases of a drawn one.

    Each place of a draw without replacement estimates it: the sale drawn there by its propensity,
    those above it as they are. The estimate is their mean, weighted by P(examined).

    Args:
        places: Where the sales bought stood, from 0, shape ``(n_bought,)``.
        ranks: Where they would stand, from 0; beyond the slate if not at all, same shape.
        p_examined: P(examined) by place, relative to the first, shape ``(n_shown,)``.
        propensities: Of the drawn slate among drawn ones, shape ``(n_shown,)``.

    Source:
        Des Raj, Some Estimators in Sampling with Varying Probabilities without Replacement,
        JASA 1956.
    """
    shares = p_examined / p_examined.sum()
    below = shares[::-1].cumsum()[::-1] - shares
    weights = shares / propensities + below
    looked_at = np.zeros(len(ranks))
    is_shown = ranks < len(p_examined)
    looked_at[is_shown] = p_examined[ranks[is_shown]]
    return float((looked_at / p_examined[places] * weights[places]).sum())
