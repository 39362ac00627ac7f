"""Popularity: smoothed conversion rates and volumes of the last days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import KIND, EventType
from models.query.customer_history import INTEREST
from models.query.query import Batch
from models.recommenders.recommender import Recommender

_IMPRESSION: Final = KIND[EventType.IMPRESSION]
_VIEW: Final = KIND[EventType.VIEW]
_CLICK: Final = KIND[EventType.CLICK]
_PURCHASE: Final = KIND[EventType.PURCHASE]

# Indices of `models.catalogue.event_counts.HALF_LIVES_HOURS`.
_FAST, _SLOW = 0, 1

_N_PRIORS: Final = 4


@dataclass(frozen=True)
class Popularity(Recommender):
    """Beta-smoothed click and purchase rates, shrunk towards the rates of the whole shop.

    Attributes:
        click_rate: Prior mean of clicks per impression.
        purchase_rate: Prior mean of purchases per click or view.
        click_weight: Pseudo-impressions of the prior.
        purchase_weight: Pseudo-clicks of the prior.
    """

    click_rate: float
    purchase_rate: float
    click_weight: float
    purchase_weight: float

    name: ClassVar[str] = "popularity"
    columns: ClassVar[Mapping[str, str]] = {
        "popularity": "Smoothed purchases per impression, half-life 48 h",
        "popularity_click_rate": "Smoothed clicks per impression, half-life 48 h",
        "popularity_purchase_rate": "Smoothed purchases per click or view, half-life 48 h",
        "popularity_volume": "Logarithm of weighted events, half-life 48 h",
        "popularity_trend": "Share of these of the last hours, half-life 6 h against 48 h",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by rates, shape ``(n_queries, n_sales, 5)``; see `Recommender.batch_scores`."""

        def make() -> NDArray[np.float64]:
            click_rate, purchase_rate = self._rates_of(batch)
            # Counts (n_half_lives, n_queries, n_sales, 5) by the weight of each type.
            volumes = np.einsum("hbij,j->hbi", batch.counts.decayed, INTEREST)
            volume = volumes[_SLOW]
            trend = volumes[_FAST] / np.maximum(volume, 1.0)
            columns = [self.order(batch), click_rate, purchase_rate, np.log1p(volume), trend]
            return np.array(columns).transpose(1, 2, 0)

        return batch.cache.get_or_make((self, "scores"), make)

    def order(self, batch: Batch) -> NDArray[np.float64]:
        """Return the first column, by which sales are ordered, shape ``(n_queries, n_sales)``."""
        if self.click_rate > 0:
            click_rate, purchase_rate = self._rates_of(batch)
            return click_rate * purchase_rate
        # Without impressions there are no rates: order by volume.
        return np.einsum("bij,j->bi", batch.counts.decayed[_SLOW], INTEREST)

    def _rates_of(self, batch: Batch) -> tuple[NDArray[np.float64], ...]:
        # Several recommenders hold an equal `Popularity`; equal keys share the rates.
        return batch.cache.get_or_make(
            (self, "rates"), lambda: self.rates(batch.counts.decayed[_SLOW])
        )

    def rates(self, counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return smoothed clicks per impression and purchases per click or view.

        Args:
            counts: Events by type code, shape ``(..., 5)``.

        Returns:
            Two arrays of shape ``(...)``, each in ``(0, 1]``.
        """
        impressions, clicks = counts[..., _IMPRESSION], counts[..., _CLICK]
        opened = clicks + counts[..., _VIEW]
        # Purchases can exceed clicks and views, in data that lack these.
        click_rate = (clicks + self.click_weight * self.click_rate) / (
            np.maximum(impressions, clicks) + self.click_weight
        )
        purchase_rate = (counts[..., _PURCHASE] + self.purchase_weight * self.purchase_rate) / (
            np.maximum(opened, counts[..., _PURCHASE]) + self.purchase_weight
        )
        return click_rate, purchase_rate

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the priors; see `Recommender.to_arrays`."""
        priors = [
            self.click_rate,
            self.purchase_rate,
            self.click_weight,
            self.purchase_weight,
        ]
        return {"priors": np.array(priors)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the priors; see `Recommender.from_arrays`."""
        priors = arrays.floats("priors").tolist()
        if len(priors) != _N_PRIORS:
            msg = f"popularity has {_N_PRIORS} priors, got {len(priors)}"
            raise ValueError(msg)
        return cls(*priors)
