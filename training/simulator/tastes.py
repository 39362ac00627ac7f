"""Tastes of customers: taste types, and their click and purchase probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.simulator.destinations import Destination, Scene
from training.simulator.parameters import ATTRIBUTES, DAY_US, Parameters
from training.simulator.sales import Sales

# Chosen: docs/world.md, "Tastes", gives the model and all values.
_YEAR_DAYS = 365.25
_MONTH_DAYS = 30.0
_N_LIFESTYLES = 5  # so that tastes are correlated, and the events of others are worth something
_SHARED = 0.9
_MEAN_TASTE = {"price": -0.08, "discount": 0.08, "season": 0.15}
_MEAN_ATTRIBUTES = (0.06, 0.08, 0.06, -0.04)
_MEAN_SCENE_SD = 0.12
# In logits: urgency and price, which are the same for all customers.
_LAST_DAY = 0.25
_FIRST_DAY = 0.15
_BUY_PRICE = -0.10


@dataclass(frozen=True)
class Tastes:
    """Taste types of a world.

    Attributes:
        weights: Taste for every sale feature, in logits, shape ``(n_states, n_features)``. State
            ``type * n_regimes + regime`` is a type in a regime.
        n_regimes: Regimes of every type.
        transition: Probability of the next visit's regime, shape ``(n_regimes, n_regimes)``.
        phases: When each scene is liked most, in months from the epoch, shape ``(n_scenes,)``.
    """

    weights: NDArray[np.float64]
    n_regimes: int
    transition: NDArray[np.float64]
    phases: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))

    def on_day(self, day_us: int, *, drift_sd: float) -> NDArray[np.float64]:
        """Return the weights of a day, ``drift_sd sqrt(2) cos(2 pi (months - phase))`` added.

        Args:
            day_us: Midnight (UTC) that begins the day, microseconds.
            drift_sd: See `training.simulator.parameters.Parameters`.
        """
        if not drift_sd:
            return self.weights
        moved = self.weights.copy()
        angle = 2.0 * np.pi * (day_us / DAY_US / _MONTH_DAYS - self.phases)
        # The weights of scenes come first.
        moved[:, : len(self.phases)] += drift_sd * np.sqrt(2.0) * np.cos(angle)
        return moved


def draw_tastes(
    parameters: Parameters, *, n_scenes: int, n_countries: int, rng: np.random.Generator
) -> Tastes:
    """Draw taste types from the world's hierarchical prior.

    A type is a mean taste, shared by all, plus lifestyles: ``sd * (s * L f + sqrt(1 - s^2) e)``
    with five lifestyle factors ``f``, loadings ``L`` (rows of length one) drawn for the world,
    own noise ``e`` and ``s = 0.9``. With regimes, the factors and the noise of regime ``r`` are
    ``l * z + sqrt(1 - l^2) * z_r`` with similarity ``l``, common part ``z`` and own part ``z_r``.

    Args:
        parameters: The world.
        n_scenes: Number of scenes.
        n_countries: Number of countries.
        rng: Source of randomness.
    """
    plain = (parameters.price_sd, parameters.discount_sd, parameters.season_sd, parameters.level_sd)
    # In the order of the columns of `SaleFeatures.market`, as the means below.
    spread = np.repeat(
        [parameters.scene_sd, parameters.country_sd, parameters.attribute_sd, *plain],
        [n_scenes, n_countries, len(ATTRIBUTES), 1, 1, 1, 1],
    )
    loadings = rng.normal(size=(len(spread), _N_LIFESTYLES))
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    factors = _regime_normals(parameters, _N_LIFESTYLES, rng)
    noise = _regime_normals(parameters, len(spread), rng)
    deviation = _SHARED * factors @ loadings.T + np.sqrt(1.0 - _SHARED**2) * noise
    scene_means = rng.normal(0.0, _MEAN_SCENE_SD, n_scenes)
    mean = np.concatenate(
        [scene_means, np.zeros(n_countries), _MEAN_ATTRIBUTES, [*_MEAN_TASTE.values(), 0.0]]
    )
    regimes = parameters.n_regimes
    move = (1.0 - parameters.regime_stay) / max(regimes - 1, 1)
    transition = np.full((regimes, regimes), move) + np.eye(regimes) * (
        parameters.regime_stay - move
    )
    return Tastes(
        weights=mean + spread * deviation,
        n_regimes=regimes,
        transition=transition,
        phases=rng.random(n_scenes),
    )


def _regime_normals(
    parameters: Parameters, width: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    shape = (parameters.n_types, parameters.n_regimes, width)
    common = rng.normal(size=(parameters.n_types, 1, width))
    similarity = parameters.regime_likeness
    mixed = similarity * common + np.sqrt(1.0 - similarity**2) * rng.normal(size=shape)
    return mixed.reshape(-1, width)


@dataclass(frozen=True)
class Market:
    """The sales of a day, and the probabilities of every taste state.

    Attributes:
        rows: Sales on sale at some moment of the day, shape ``(n_rows,)``.
        click: P(click | examined), shape ``(n_states, n_rows)``.
        buy: P(purchase | click), same shape.
    """

    rows: NDArray[np.int64]
    click: NDArray[np.float32]
    buy: NDArray[np.float32]


class SaleFeatures:
    """Features of sales that tastes weight; only season and urgency change with the day."""

    def __init__(
        self,
        sales: Sales,
        attributes: NDArray[np.float64],
        *,
        scenes: Sequence[Scene],
        destinations: Sequence[Destination],
    ) -> None:
        """Compute the features that do not depend on the day.

        Args:
            sales: The sales.
            attributes: Standardised picture attributes, shape ``(n_sales, n_attributes)``.
            scenes: Scenes of the world.
            destinations: Destinations of the world.
        """
        self.sales = sales
        self.n_scenes = len(scenes)
        self._peak = np.array([scene.peak_day for scene in scenes])[sales.scene]
        countries = country_names(destinations)
        self.n_countries = len(countries)
        country = np.array([countries.index(place.country) for place in destinations])
        self._price = standardised(np.log(sales.price))
        self._fixed = np.hstack(
            [
                np.eye(len(scenes))[sales.scene],
                np.eye(len(countries))[country[sales.destination]],
                attributes,
                self._price[:, None],
                standardised(1.0 - sales.price / sales.original_price)[:, None],
            ]
        )

    def market(self, parameters: Parameters, tastes: Tastes, *, day_us: int) -> Market:
        """Compute the probabilities of every taste state on one day.

        ``P(click | examined) = expit(a + w.x + q + 0.15 first_day)`` and ``P(buy | click) =
        expit(b + k w.x + q' - 0.1 price + 0.25 last_day)``; see docs/world.md.

        Args:
            parameters: The world.
            tastes: Taste types.
            day_us: Midnight (UTC) that begins the day, microseconds.

        Returns:
            The day's sales with their probabilities.
        """
        sales = self.sales
        rows = sales.touching(day_us, day_us + DAY_US)
        angle = 2.0 * np.pi * (day_us / DAY_US - self._peak[rows]) / _YEAR_DAYS
        ones = np.ones(len(rows))
        features = np.column_stack([self._fixed[rows], np.cos(angle), ones])
        liking = tastes.on_day(day_us, drift_sd=parameters.drift_sd) @ features.T
        first_day = sales.opens_us[rows] >= day_us
        last_day = sales.closes_us[rows] < day_us + DAY_US
        click = parameters.click_intercept + sales.appeal[rows, 0] + _FIRST_DAY * first_day
        buy = (
            parameters.buy_intercept
            + sales.appeal[rows, 1]
            + _BUY_PRICE * self._price[rows]
            + _LAST_DAY * last_day
        )
        return Market(
            rows=rows,
            click=expit(click + liking).astype(np.float32),
            buy=expit(buy + parameters.buy_taste * liking).astype(np.float32),
        )


def country_names(destinations: Sequence[Destination]) -> list[str]:
    """Return the countries of destinations, sorted, each once."""
    return sorted({place.country for place in destinations})


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale columns of ``(n,)`` or ``(n, n_columns)`` to mean 0 and deviation 1; constants to 0."""
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
