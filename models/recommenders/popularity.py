"""Popularity: smoothed conversion rates and volumes of the last days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue_cache import cached
from models.catalogue.event_counts import DAYS, HOUR, HOURS, WEEKS
from models.domain.event import CLICK, IMPRESSION, PURCHASE, VIEW
from models.query.customer_history import COUNTED_INTEREST
from models.query.query import Batch
from models.recommenders.recommender import Recommender

_N_PRIORS: Final = 5

Rates = tuple[NDArray[np.float64], NDArray[np.float64]]


def event_volume(decayed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weighted events of the longest half-life: the order of sales without known rates.

    Args:
        decayed: Events by half-life and type code, shape ``(n_half_lives, ..., 6)``.

    Returns:
        An array of shape ``(...)``.
    """
    # Two days hold few events of shops without impressions: of films and a wholesaler, 14 days
    # order better (decision 0046).
    return np.einsum("...j,j->...", decayed[WEEKS], COUNTED_INTEREST)


@dataclass(frozen=True)
class Popularity(Recommender):
    """Beta-smoothed rates of what a shop records, shrunk towards the rates of the whole shop.

    Of a shop that records neither clicks nor purchases in its lists, or no lists, the product of
    the rates that it does record is the popularity. Rates of short half-lives are shrunk towards
    those of the next longer one: an hour without events says nothing new.

    The four half-lives (hour, hours, days, weeks) are those of the counts: a setting of training,
    by default 1 h, 6 h, 48 h and 14 d.

    Attributes:
        click_rate: Prior mean of openings per impression; 0 without impressions.
        purchase_rate: Prior mean of purchases per click or view; 0 without purchases.
        click_weight: Pseudo-impressions of the prior.
        purchase_weight: Pseudo-clicks of the prior.
        opening: Code of the event type that opens a sale from a list: clicks, or purchases where
            lists have no clicks on record. Then an impression converts by its opening alone.
    """

    click_rate: float
    purchase_rate: float
    click_weight: float
    purchase_weight: float
    opening: int = CLICK

    name: ClassVar[str] = "popularity"
    columns: ClassVar[Mapping[str, str]] = {
        "popularity": "Smoothed purchases per impression, half-life of days (48 h by default); "
        "without impressions weighted events, half-life of weeks (14 d by default)",
        "popularity_click_rate": "Smoothed clicks per impression, half-life of days",
        "popularity_purchase_rate": "Smoothed purchases per click or view, half-life of days",
        "popularity_volume": "Logarithm of weighted events, half-life of days",
        "popularity_trend": "Share of these of the last hours, half-life of hours against days",
        "popularity_hour": "Smoothed purchases per impression, half-life of the hour (1 h by "
        "default)",
        "popularity_hours": "Smoothed purchases per impression, half-life of hours (6 h by "
        "default)",
        "popularity_weeks": "Smoothed purchases per impression, half-life of weeks",
        "popularity_looks": "Logarithm of impressions, or else of clicks and views, half-life of "
        "days",
    }

    @cached
    def shared_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by rates, shape ``(n_queries, n_sales, 9)``; see `Recommender.shared_scores`."""
        decayed = batch.counts.decayed
        rates = self._rates_of(batch)
        volumes = np.einsum("hbij,j->hbi", decayed[[HOURS, DAYS]], COUNTED_INTEREST)
        volume = volumes[1]
        trend = volumes[0] / np.maximum(volume, 1.0)
        hours = self.rates(decayed[HOURS], prior=rates)
        hour = self.rates(decayed[HOUR], prior=hours)
        weeks = self.rates(decayed[WEEKS])
        looks = decayed[DAYS][..., IMPRESSION]
        if not self.click_rate:
            looks = decayed[DAYS][..., CLICK] + decayed[DAYS][..., VIEW]
        columns = [
            self.order(batch),
            *rates,
            np.log1p(volume),
            trend,
            *(self.conversion(one) for one in (hour, hours, weeks)),
            np.log1p(looks),
        ]
        return np.array(columns).transpose(1, 2, 0)

    def order(self, batch: Batch) -> NDArray[np.float64]:
        """Return the first column, by which sales are ordered, shape ``(n_queries, n_sales)``."""
        if self.click_rate > 0:
            return self.conversion(self._rates_of(batch))
        return event_volume(batch.counts.decayed)

    def conversion(self, rates: Rates) -> NDArray[np.float64]:
        """Return purchases per impression by the rates that the shop has, shape ``(...)``."""
        click_rate, purchase_rate = rates
        if not self.purchase_rate or self.opening == PURCHASE:
            return click_rate
        return click_rate * purchase_rate if self.click_rate else purchase_rate

    # Several recommenders hold an equal `Popularity`, and share the rates.
    @cached
    def _rates_of(self, batch: Batch) -> Rates:
        return self.rates(batch.counts.decayed[DAYS])

    def rates(self, counts: NDArray[np.float64], *, prior: Rates | None = None) -> Rates:
        """Return smoothed openings per impression and purchases per click or view.

        Args:
            counts: Events by type code, shape ``(..., 6)``.
            prior: Means to shrink towards, each of shape ``(...)``; default: the shop's.

        Returns:
            Two arrays of shape ``(...)``, each in ``[0, 1]``.
        """
        click_prior, purchase_prior = prior or (self.click_rate, self.purchase_rate)
        impressions, clicks = counts[..., IMPRESSION], counts[..., self.opening]
        opened = counts[..., CLICK] + counts[..., VIEW]
        # Purchases can exceed clicks and views, in data that lack these.
        click_rate = (clicks + self.click_weight * click_prior) / (
            np.maximum(impressions, clicks) + self.click_weight
        )
        purchase_rate = (counts[..., PURCHASE] + self.purchase_weight * purchase_prior) / (
            np.maximum(opened, counts[..., PURCHASE]) + self.purchase_weight
        )
        return click_rate, purchase_rate

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the priors; see `Recommender.to_arrays`."""
        priors = [
            self.click_rate,
            self.purchase_rate,
            self.click_weight,
            self.purchase_weight,
            self.opening,
        ]
        return {"priors": np.array(priors)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the priors; see `Recommender.from_arrays`."""
        priors = arrays.floats("priors").tolist()
        if len(priors) != _N_PRIORS:
            msg = f"popularity has {_N_PRIORS} priors, got {len(priors)}"
            raise ValueError(msg)
        *rates, opening = priors
        if opening not in {CLICK, PURCHASE}:
            msg = f"popularity opens sales by events of type {opening:g}, which is none"
            raise ValueError(msg)
        return cls(*rates, opening=int(opening))
