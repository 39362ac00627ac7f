"""A log that a shop's own ranking made: lists ordered by true relevance and a little noise."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

N_POSITIONS: Final = 10
N_DAYS, N_CUSTOMERS, N_NEW_SALES, DAYS_OPEN, N_TASTES = 20, 3_000, 8, 5, 6
N_IRRELEVANT: Final = 8
ORDER_NOISE: Final = 0.1

_PLACES: Final = np.arange(1.0, N_POSITIONS + 1)
CURVES: Final = {
    "root": _PLACES**-0.5,
    "steep": 1 / _PLACES,
    "flat": _PLACES**-0.15,
    # Four sales fit on the first screen.
    "by screen": np.where(_PLACES <= 4, 1.0, 0.45) * 0.97 ** (_PLACES - 1),
}
"""P(examined) by position."""

DEVICE_SHARES: Final = (0.6, 0.3, 0.1)
DEVICE_CURVES: Final = {
    # Two sales fit on the first screen of a phone, and four to eight on that of others.
    "differ": np.array(
        [
            np.select([_PLACES <= 2, _PLACES <= 4], [1.0, 0.6], 0.3) * 0.95 ** (_PLACES - 1),
            np.where(_PLACES <= 8, 1.0, 0.6) * 0.97 ** (_PLACES - 1),
            CURVES["by screen"],
        ]
    ),
    "alike": np.array([CURVES["root"]] * 3),
}
"""P(examined) by device and position, shape ``(n_devices, n_positions)``."""


@dataclass(frozen=True)
class OwnLog:
    """Entries of lists, each of shape ``(n,)`` unless said.

    Attributes:
        positions: From 1.
        devices: Code of the device of each list, 0 if there is one curve.
        sale_days: Code of sale and day.
        features: What a model may know: parts of the relevance, and columns that say nothing,
            shape ``(n, n_features)``.
        chances: P(bought | examined).
        bought: 1 if bought.
    """

    positions: NDArray[np.int64]
    devices: NDArray[np.int64]
    sale_days: NDArray[np.int64]
    features: NDArray[np.float64]
    chances: NDArray[np.float64]
    bought: NDArray[np.float64]


def own_log(
    rng: np.random.Generator, curve: NDArray[np.float64], *, n_visits: int, rate: float
) -> OwnLog:
    """Draw a log in which a share ``rate`` of what is shown is bought.

    ``curve`` is P(examined) by position, or by device and position; see `DEVICE_CURVES`.
    """
    n_sales = N_NEW_SALES * (N_DAYS + DAYS_OPEN)
    opens = np.repeat(np.arange(N_DAYS + DAYS_OPEN), N_NEW_SALES) - DAYS_OPEN
    content, appeal = rng.normal(size=(n_sales, N_TASTES)), rng.normal(0, 0.4, n_sales)
    tastes = rng.normal(0, N_TASTES**-0.5, size=(N_CUSTOMERS, N_TASTES))
    activity = rng.normal(0, 0.4, N_CUSTOMERS)
    shown: list[NDArray[np.float64]] = []
    codes: list[NDArray[np.int64]] = []
    n_today = n_visits // N_DAYS
    for day in range(N_DAYS):
        visitors = rng.integers(N_CUSTOMERS, size=n_today)
        on_sale = np.flatnonzero((opens <= day) & (day < opens + DAYS_OPEN))
        matches = tastes[visitors][:, None] * content[on_sale]
        parts = np.dstack(
            [
                matches,
                np.broadcast_to(appeal[on_sale], matches.shape[:2]),
                np.broadcast_to(activity[visitors][:, None], matches.shape[:2]),
            ]
        )
        scores = parts.sum(axis=2) + rng.normal(0, ORDER_NOISE, matches.shape[:2])
        order = np.argsort(-scores, axis=1)[:, :N_POSITIONS]
        shown.append(np.take_along_axis(parts, order[:, :, None], axis=1).reshape(-1, N_TASTES + 2))
        codes.append((day * n_sales + on_sale[order]).ravel())
    parts = np.concatenate(shown)
    n_lists = len(parts) // N_POSITIONS
    places, devices = np.tile(np.arange(N_POSITIONS), n_lists), np.zeros(len(parts), np.int64)
    if curve.ndim > 1:
        drawn = rng.choice(len(curve), size=n_lists, p=DEVICE_SHARES)
        devices = np.repeat(drawn, N_POSITIONS)
    examined = np.atleast_2d(curve)[devices, places]
    chances = _chances(parts.sum(axis=1), examined, rate=rate)
    noise = rng.normal(size=(len(parts), N_IRRELEVANT))
    return OwnLog(
        positions=places + 1,
        devices=devices,
        sale_days=np.unique(np.concatenate(codes), return_inverse=True)[1].astype(np.int64),
        features=np.hstack([parts, noise]),
        chances=chances,
        bought=(rng.random(len(places)) < examined * chances).astype(np.float64),
    )


def _chances(
    relevance: NDArray[np.float64], examined: NDArray[np.float64], *, rate: float
) -> NDArray[np.float64]:
    """Return probabilities whose intercept gives the rate, by bisection."""

    def chances(intercept: float) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-(relevance + intercept)))

    low, high = -20.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        is_high = float((examined * chances(middle)).mean()) > rate
        low, high = (low, middle) if is_high else (middle, high)
    return chances(low)
