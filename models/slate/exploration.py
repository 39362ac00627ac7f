"""Exploration: randomised slates with exact propensities.

A propensity is conditional: the probability that the sale at a rank was put there, given the
sales above it. The product over the ranks is the probability of the slate.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.units import HOUR_US
from models.query.query import Query

# Keeps these hashes apart from those of ids and buckets.
_DOMAIN: Final = b"vitrine slate\x1f"
# Keeps 52 bits, which a float64 between 0 and 1 holds exactly, half a step included.
_DROPPED_BITS: Final = 12
_STEP: Final = 2.0**-52
# Flips a bit of the seed: whether a slate is drawn is independent of what would be drawn.
_OF_BRANCH: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class Slate:
    """Slate: the selected candidates, and their propensities.

    Attributes:
        picks: Indices of candidates by rank, shape ``(n_shown,)``.
        propensities: Probability of each given those above it, in ``(0, 1]``, same shape.
        unexplored: What the slate would be without exploration, same shape; where rules bound a
            slate it may be longer or shorter.
        rules: Names of the rules that placed or moved each, by rank; empty without rules.
        unmet: Names of the rules that could not be met: no sale that may be shown is left for them,
            or they leave none.
        asked: Names of all pins and lower bounds, met or not.
        shares: Names of the rules that guarantee a share of impressions, and how many are theirs.
    """

    picks: NDArray[np.intp]
    propensities: NDArray[np.float64]
    unexplored: NDArray[np.intp]
    rules: tuple[tuple[str, ...], ...] = ()
    unmet: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    shares: tuple[tuple[str, int], ...] = ()

    @classmethod
    def certain(cls, picks: NDArray[np.intp]) -> Self:
        """Return a deterministic slate: all propensities are 1."""
        return cls(picks, np.ones(len(picks)), picks)

    def emptied(self) -> Self:
        """Return it without its sales: no pin and no lower bound is met."""
        none = self.certain(self.picks[:0])
        return replace(none, unmet=tuple(dict.fromkeys((*self.unmet, *self.asked))))

    @property
    def is_explored(self) -> bool:
        """Whether exploration changed it."""
        is_same = self.picks is self.unexplored
        return not (is_same or np.array_equal(self.picks, self.unexplored))

    def cost(self, probabilities: NDArray[np.float64], p_examined: NDArray[np.float64]) -> float:
        """Return the outcomes that its exploration is expected to lose; below 0 for a gain.

        Args:
            probabilities: P(outcome at position 1) of every candidate, shape ``(n_candidates,)``.
            p_examined: P(examined) by rank, relative to position 1, for the longer of both slates.
        """
        lost = np.zeros(len(p_examined))
        lost[: len(self.unexplored)] = probabilities[self.unexplored]
        lost[: len(self.picks)] -= probabilities[self.picks]
        return float(p_examined @ lost)


def seed_from(recommendation_id: str) -> int:
    """Return the seed of an answer, so that a replay draws the same slate from its record.

    The 16 bytes of BLAKE2b over ``vitrine slate``, one byte ``0x1f`` and the UTF-8 bytes of
    the id, read as a big-endian integer.
    """
    digest = blake2b(_DOMAIN + recommendation_id.encode(), digest_size=16).digest()
    return int.from_bytes(digest, "big")


def uniforms(seed: int, n: int) -> NDArray[np.float64]:
    """Draw uniform numbers in the open interval (0, 1), equal on every platform.

    ``(upper 52 bits of each output of PCG64 + 0.5) * 2**-52``.

    Returns:
        Shape ``(n,)``; with an equal seed, a larger ``n`` begins with the same numbers.
    """
    bits = np.random.PCG64(seed).random_raw(n)
    return ((bits >> np.uint64(_DROPPED_BITS)).astype(np.float64) + 0.5) * _STEP


def is_drawn(seed: int, share: float) -> bool:
    """Return whether the answer of a seed is among the share of answers that are drawn."""
    return share >= 1 or float(uniforms(seed ^ _OF_BRANCH, 1)[0]) < share


def plackett_luce(
    ranking: NDArray[np.intp],
    utilities: NDArray[np.float64],
    *,
    limit: int,
    share: float,
    seed: int,
) -> Slate:
    """Sample a share of slates from the Plackett-Luce model; the others are the ranking's head.

    The propensities are those of the mixture, whichever part made the slate.

    Args:
        ranking: Candidates, shape ``(n,)``.
        utilities: Of each index of the ranking, finite, shape ``(n,)``.
        limit: Length of the slate.
        share: Probability that the slate is drawn, in ``(0, 1]``.
        seed: Of the answer.

    Source:
        Kool, van Hoof and Welling, Stochastic Beams and Where to Find Them, ICML 2019, for the
        Gumbel top-k trick.
    """
    head = np.arange(min(limit, len(ranking)))
    indices = head
    if is_drawn(seed, share):
        gumbel = -np.log(-np.log(uniforms(seed, len(ranking))))
        indices = np.argsort(-(utilities + gumbel), kind="stable")[:limit]
    propensities = mixture_propensities(
        plackett_luce_propensities(utilities, indices), indices == head, share=share
    )
    unexplored = ranking[head]
    picks = unexplored if indices is head else ranking[indices]
    return Slate(picks, propensities, unexplored)


def mixture_propensities(
    drawn: NDArray[np.float64], is_head: NDArray[np.bool_], *, share: float
) -> NDArray[np.float64]:
    """Return the conditional propensities of a mixture of drawn slates and one certain slate.

    With ``q_k`` the probability that a slate is drawn given its first ``k`` sales, ``q_0`` the
    share, the propensity at ``k`` is ``q_(k-1) * drawn_k + (1 - q_(k-1)) * is_head_k``.

    Args:
        drawn: Propensities of the slate among drawn ones, shape ``(k,)``.
        is_head: Whether each sale is the certain slate's at its rank, same shape.
        share: Probability that a slate is drawn, in ``(0, 1]``.

    Returns:
        In ``(0, 1]``, same shape. Their product is the probability of the slate.

    Source:
        Veach and Guibas, Optimally Combining Sampling Techniques, SIGGRAPH 1995: weighting by
        the mixture (balance heuristic) varies less than by the part that was drawn.
    """
    found = np.empty(len(drawn))
    is_drawn_given = share
    for rank, (one, is_same) in enumerate(zip(drawn.tolist(), is_head.tolist(), strict=True)):
        found[rank] = is_drawn_given * one + (1.0 - is_drawn_given) * is_same
        is_drawn_given *= one / found[rank]
    return found


def drawn_propensities(propensities: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return the propensities of a drawn slate among drawn ones, from those of the mixture.

    The inverse of `mixture_propensities`. Where the certain slate had the same sale, the mixture's
    propensity is at least ``1 - q``, else at most ``q``: below a half, these cannot be confused.

    Args:
        propensities: As logged, shape ``(k,)``.
        share: Probability that a slate is drawn.

    Raises:
        ValueError: If the share is not in (0, 0.5).
    """
    if not 0 < share < 1 / 2:
        msg = f"only shares between 0 and 0.5 can be taken out of a mixture, not {share:g}"
        raise ValueError(msg)
    found = np.empty(len(propensities))
    is_drawn_given = share
    for rank, logged in enumerate(propensities.tolist()):
        certain = 1.0 - is_drawn_given if logged > is_drawn_given else 0.0
        found[rank] = (logged - certain) / is_drawn_given
        is_drawn_given *= found[rank] / logged
    return found


def plackett_luce_propensities(
    utilities: NDArray[np.float64], picks: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the probability of each pick given those before it.

    ``exp(u_k) / sum(exp(u_j))`` over the candidates ``j`` that are not picked before ``k``.

    Args:
        utilities: Of all candidates, finite, shape ``(n,)``.
        picks: Distinct candidates by rank, shape ``(k,)``.

    Returns:
        In ``(0, 1]``, shape ``(k,)``.
    """
    others = np.ones(len(utilities), dtype=np.bool_)
    others[picks] = False
    below = np.logaddexp.reduce(utilities[others]) if others.any() else -np.inf
    # Accumulated from the last rank up: adding avoids the cancellation of subtracting.
    upwards = np.concatenate([[below], utilities[picks][::-1]])
    remaining = np.logaddexp.accumulate(upwards)[1:][::-1]
    return np.exp(utilities[picks] - remaining)


def new_sales(query: Query, *, hours: float) -> NDArray[np.bool_]:
    """Return which candidates opened less than ``hours`` ago, shape ``(n_candidates,)``."""
    return query.catalogue.opens_us[query.rows] > query.context.now_us - hours * HOUR_US


def with_new_sales(
    ranking: NDArray[np.intp],
    is_new: NDArray[np.bool_],
    *,
    slots: int,
    limit: int,
    drawn: NDArray[np.float64],
) -> Slate:
    """Reserve the last positions of a slate for uniformly drawn new sales.

    New sales that are ranked above those positions stay there. If fewer other new sales than slots
    remain, all of them take the last positions, behind more of the ranking.

    Args:
        ranking: At least the first ``limit`` candidates, best first.
        is_new: Which of all candidates are new, shape ``(n_candidates,)``.
        slots: Places for new sales.
        limit: Length of the slate.
        drawn: Numbers between 0 and 1, shape ``(slots,)`` at least.
    """
    shown = ranking[:limit]
    head, tail = np.split(shown, [max(len(shown) - slots, 0)])
    waiting = is_new.copy()
    waiting[head] = False
    pool: list[int] = np.flatnonzero(waiting).tolist()
    n_drawn = min(len(tail), len(pool))
    kept = tail[~waiting[tail]][: len(tail) - n_drawn]
    picks: list[int] = []
    propensities: list[float] = []
    for number in drawn[:n_drawn].tolist():
        propensities.append(1.0 / len(pool))
        picks.append(pool.pop(int(number * len(pool))))
    certain = np.ones(len(head) + len(kept))
    return Slate(
        np.concatenate([head, kept, np.array(picks, dtype=np.intp)]),
        np.concatenate([certain, propensities]),
        shown,
    )
