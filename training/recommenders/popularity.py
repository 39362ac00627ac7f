"""Fits popularity: prior click and purchase rates of the shop."""

from typing import Final

import numpy as np

from models.domain.event import KIND, KINDS, EventType
from models.recommenders.popularity import Popularity
from training.recommenders.interactions import Interactions

_PRIOR_CLICKS: Final = 2.0  # expected clicks that the prior is worth; chosen, not measured
_PRIOR_PURCHASES: Final = 1.0
_FALLBACK_WEIGHT: Final = 20.0  # in impressions, of a shop without clicks or purchases


def fit_popularity(interactions: Interactions) -> Popularity:
    """Estimate the shop's click and purchase rates, and the weights of these priors.

    Lists of a shop without clicks are opened by purchases.

    The prior of a click rate weighs as many impressions as bring two clicks on average, that of a
    purchase rate as many openings as bring one purchase.
    """
    counts = np.bincount(interactions.kinds[interactions.counted], minlength=len(KINDS)).tolist()
    n = dict(zip(KINDS, counts, strict=True))
    opened = n[EventType.CLICK] + n[EventType.VIEW]
    opening = EventType.CLICK if n[EventType.CLICK] else EventType.PURCHASE
    click_rate = _rate(n[opening], n[EventType.IMPRESSION])
    # Without clicks and views every purchase is a trial of its own.
    purchase_rate = _rate(n[EventType.PURCHASE], opened + n[EventType.PURCHASE] * (not opened))
    return Popularity(
        click_rate=click_rate,
        purchase_rate=purchase_rate,
        click_weight=_PRIOR_CLICKS / click_rate if click_rate else _FALLBACK_WEIGHT,
        purchase_weight=_PRIOR_PURCHASES / purchase_rate if purchase_rate else _FALLBACK_WEIGHT,
        opening=KIND[opening],
    )


def _rate(successes: int, trials: int) -> float:
    return min(successes / trials, 1.0) if trials else 0.0
