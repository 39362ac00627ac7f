"""Behaviour model: scrolling, examination, clicks, carts and purchases of a slate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.simulator.parameters import SECOND_US

# P(interest | click) = P(purchase | click) ** INTEREST. Chosen below 1, so that interest precedes
# every purchase and some interest ends without one.
INTEREST = 0.6

# Shares and delays are chosen, not measured: docs/world.md, "Visits".
_DEPTHS = np.array([4, 5, 6, 7, 8, 9, 10])  # 8.6 on average
_DEPTH_SHARES = np.array([0.06, 0.05, 0.08, 0.08, 0.09, 0.08, 0.56])
_VIEWS = np.array([0, 1, 2])
_VIEW_SHARES = np.array([0.65, 0.25, 0.10])
_CART_SEEN = 0.8  # of purchases: some shops buy without a cart
_READING_US = 90 * SECOND_US
_DECIDING_US = 1_200 * SECOND_US
_FINISH = 0.95  # of the time left: a purchase never falls on the closing itself


@dataclass(frozen=True)
class Reactions:
    """Reactions to the slates of a batch; booleans of shape ``(n_visits, slate_size)``.

    Attributes:
        seen: Impressions: the customer scrolled this far.
        clicked: The sale was opened.
        interested: The customer began to buy it.
        bought: The customer bought it.
    """

    seen: NDArray[np.bool_]
    clicked: NDArray[np.bool_]
    interested: NDArray[np.bool_]
    bought: NDArray[np.bool_]


Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_FIRST_SCREEN = 4
# Chosen to differ: half of the looks are lost at rank 4, 2, 100, and behind the first screen.
CURVES: Final[Mapping[str, Curve]] = {
    "root": lambda rank: rank**-0.5,
    "steep": lambda rank: 1.0 / rank,
    "flat": lambda rank: rank**-0.15,
    "screens": lambda rank: np.where(rank <= _FIRST_SCREEN, 1.0, 0.45) * 0.97 ** (rank - 1),
}
"""P(examined | seen) by rank, from 1."""

SIMILAR_LEVELS: Final = 3
"""Numbers of similar sales above that differ in their effect: 0, 1, and more."""


def examination(n_positions: int, curve: str) -> NDArray[np.float64]:
    """Return P(examined | seen) by position, by one of `CURVES`, shape ``(n_positions,)``."""
    return CURVES[curve](np.arange(1, n_positions + 1, dtype=np.float64))


def similar_above(scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the sales above with the same scene, at most two.

    Args:
        scenes: Scene of every position, shape ``(n_visits, slate_size)``.

    Returns:
        The same shape.
    """
    n_positions = scenes.shape[1]
    above = np.tri(n_positions, k=-1, dtype=np.bool_)
    alike = (scenes[:, :, None] == scenes[:, None, :]) & above
    return np.minimum(alike.sum(axis=2), SIMILAR_LEVELS - 1)


def scrolled(n_positions: int) -> NDArray[np.float64]:
    """Return the share of visits that end at each depth, shape ``(n_positions,)``.

    Entry ``d`` is P(the first ``d + 1`` positions are seen and no more).
    """
    shares = np.zeros(n_positions)
    np.add.at(shares, np.minimum(_DEPTHS, n_positions) - 1, _DEPTH_SHARES)
    return shares


def react(
    click: NDArray[np.float32],
    buy: NDArray[np.float32],
    *,
    shown: NDArray[np.bool_],
    examined: NDArray[np.float64],
    rng: np.random.Generator,
) -> Reactions:
    """Draw the reactions to slates.

    A customer scrolls to a depth of 4 to 10, independently of their taste. They examine a
    position with ``examined``, click with ``click``, are interested with ``buy**0.6`` and then buy
    with ``buy**0.4``.

    Args:
        click: P(click | examined) of every position, shape ``(n_visits, slate_size)``.
        buy: P(purchase | click), same shape.
        shown: Where the slate holds a sale, same shape.
        examined: P(examined | seen), same shape or ``(slate_size,)``.
        rng: Source of randomness.
    """
    n_visits, n_positions = shown.shape[0], shown.shape[1]
    depth: NDArray[np.int64] = rng.choice(_DEPTHS, size=n_visits, p=_DEPTH_SHARES)
    rank = np.arange(n_positions, dtype=np.int64)
    seen = shown & (rank < depth[:, None])
    draws = rng.random((3, n_visits, n_positions))
    clicked = seen & (draws[0] < examined * click)
    interested = clicked & (draws[1] < buy**INTEREST)
    bought = interested & (draws[2] < buy ** (1.0 - INTEREST))
    return Reactions(seen=seen, clicked=clicked, interested=interested, bought=bought)


def carts_seen(reactions: Reactions, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the interests with a cart event: all without a purchase, 80% of those with one."""
    direct = reactions.bought & (rng.random(reactions.bought.shape) >= _CART_SEEN)
    return reactions.interested & ~direct


def count_views(n_visits: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how many sales, 0 to 2, each visit opened from search or e-mail before the home page."""
    return rng.choice(_VIEWS, size=n_visits, p=_VIEW_SHARES)


def choose_views(
    click: NDArray[np.float32], eligible: NDArray[np.bool_], *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw one viewed sale per row, in proportion to ``click`` over the eligible sales.

    Args:
        click: P(click | examined), shape ``(n_views, n_rows)``.
        eligible: Which sales are on sale, same shape.
        rng: Source of randomness.

    Returns:
        Chosen columns, shape ``(n_views,)``.
    """
    # By the inverse of the cumulative sum: one draw a row, and no loop over rows.
    cumulative = np.cumsum(np.where(eligible, click, 0.0), axis=1)
    target = rng.random(len(click)) * cumulative[:, -1]
    return np.argmax(cumulative > target[:, None], axis=1)


def reaction_delays(room_us: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw when a click, its cart and its purchase happen after the home page.

    Clicks take 5 to 90 seconds, purchases 2 to 20 minutes more, carts half of that. Where the
    sale ends sooner, all delays are scaled down.

    Args:
        room_us: Time until the sale ends, microseconds, shape ``(n,)``.
        rng: Source of randomness.

    Returns:
        Delays in microseconds, shape ``(3, n)``: click, cart, purchase.
    """
    hurry = np.minimum(1.0, _FINISH * room_us / (_READING_US + _DECIDING_US))
    click = 5 * SECOND_US + rng.random(len(room_us)) * (_READING_US - 5 * SECOND_US)
    deciding = (0.1 + 0.9 * rng.random(len(room_us))) * _DECIDING_US
    return (np.stack([click, click + deciding / 2, click + deciding]) * hurry).astype(np.int64)
