"""Parameters of the simulated worlds; docs/world.md gives the model."""

from dataclasses import dataclass, replace
from typing import Final

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
SECOND_US: Final = 1_000_000

MARKETS: Final = ("fr", "uk", "de")
MARKET_SHARES: Final = (0.5, 0.3, 0.2)
DEVICES: Final = ("mobile", "desktop", "tablet")
DEVICE_SHARES: Final = (0.55, 0.35, 0.10)
CATEGORIES: Final = ("hotel", "flight_hotel", "tour", "villa", "cruise")
VARIANTS: Final = ("logging", "uniform")
ATTRIBUTES: Final = ("brightness", "warmth", "saturation", "detail")


@dataclass(frozen=True)
class Parameters:
    """Everything that is fixed before the first random draw; see docs/world.md.

    ``*_sd`` are standard deviations of tastes between customers, in logits.
    A world with one regime has constant tastes. ``examination`` names one of
    ``training.simulator.behaviour.CURVES``; each sale of the same scene above multiplies it by
    ``similar_attention``, the first two of them. What all customers think of a scene rises and
    falls once a month, with standard deviation ``drift_sd`` over time, in logits.
    """

    # All chosen; docs/world.md, "Preferences" and "Visits".
    name: str = "standard"
    n_types: int = 2048  # finite, so that the posterior over types can be computed exactly
    n_regimes: int = 1
    regime_stay: float = 1.0
    regime_likeness: float = 1.0
    click_intercept: float = -2.5
    buy_intercept: float = -3.15
    scene_sd: float = 1.3
    country_sd: float = 0.4
    price_sd: float = 0.3
    discount_sd: float = 0.15
    attribute_sd: float = 0.3
    season_sd: float = 0.30
    level_sd: float = 0.30
    buy_taste: float = 0.35
    appeal_sd: float = 0.15
    visits: float = 8.6
    sales_per_day: float = 25.0
    slate_size: int = 10
    uniform_share: float = 0.10
    late_share: float = 0.02
    new_share: float = 0.30
    scenes_per_category: int = 40
    examination: str = "root"
    similar_attention: float = 1.0
    drift_sd: float = 0.0


WORLDS: Final = {
    "standard": Parameters(),
    # About five times fewer purchases for the same clicks.
    "rare": Parameters(name="rare", buy_intercept=-4.9),
    # Fewer types, since each has a state for every regime.
    "regimes": Parameters(
        name="regimes", n_types=700, n_regimes=3, regime_stay=0.85, regime_likeness=0.4
    ),
}


def world(name: str, *, visits: float | None = None) -> Parameters:
    """Return the parameters of a named world.

    Args:
        name: One of ``standard``, ``rare`` and ``regimes``.
        visits: Mean visits of a customer over the whole period; the world's own if None.

    Raises:
        ValueError: If no world has this name.
    """
    if name not in WORLDS:
        msg = f"unknown world {name!r}: choose one of {', '.join(WORLDS)}"
        raise ValueError(msg)
    parameters = WORLDS[name]
    return parameters if visits is None else replace(parameters, visits=visits)
