"""Choice of covers: drawn by predicted clicks, with exact propensities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.catalogue.catalogue import Catalogue
from models.covers.cover_model import CoverModel
from models.domain.customer import Window


class CoverPolicy(BaseModel):
    """How the cover of each shown sale is chosen: by odds, and evenly for a share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(
        default=0.05,
        gt=0,
        le=10,
        description="Of the log-odds of a click: small ones show the best picture.",
    )
    even_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of covers that are drawn evenly."
    )


@dataclass(frozen=True, slots=True)
class ChosenCover:
    """The cover of one shown sale.

    Attributes:
        number: Number of the picture.
        propensity: Probability that the policy chose it for this sale, in (0, 1].
    """

    number: int
    propensity: float


def chosen_covers(
    model: CoverModel,
    policy: CoverPolicy,
    *,
    catalogue: Catalogue,
    window: Window,
    rows: list[int],
    drawn: NDArray[np.float64],
) -> list[ChosenCover | None]:
    """Draw the cover of each sale, independently of the others.

    Args:
        model: Predicts clicks.
        policy: How covers are chosen.
        catalogue: All known sales.
        window: The customer's window.
        rows: Catalogue rows of the sales.
        drawn: Uniform numbers in (0, 1), one for each, shape ``(n_sales,)``.

    Returns:
        A cover each, None for a sale with fewer than two pictures.
    """
    found = [model.pictures(catalogue, row) for row in rows]
    sales = [one for one in found if one is not None]
    covers: list[ChosenCover | None] = [None] * len(rows)
    if not sales:
        return covers
    places = [place for place, one in enumerate(found) if one is not None]
    taste = model.taste(window, catalogue)
    chances = cover_chances(model.log_odds(sales, taste), policy)
    # Rounding may leave the last sum below a number close to 1.
    sums = np.cumsum(chances, axis=1)
    last = (chances > 0).sum(axis=1) - 1
    picks: list[int] = np.minimum((sums <= drawn[places][:, None]).sum(axis=1), last).tolist()
    for place, sale, pick, chance in zip(places, sales, picks, chances, strict=True):
        covers[place] = ChosenCover(sale.numbers[pick], float(chance[pick]))
    return covers


def cover_chances(log_odds: NDArray[np.float64], policy: CoverPolicy) -> NDArray[np.float64]:
    """Return the probability of each picture of each sale.

    ``(1 - even_share) * softmax(log_odds / temperature) + even_share / n_pictures``.

    Args:
        log_odds: ``-inf`` where there is no picture, shape ``(n_sales, 9)``.
        policy: Temperature and even share.

    Returns:
        Same shape; rows sum to 1.
    """
    odds = np.exp((log_odds - log_odds.max(axis=1, keepdims=True)) / policy.temperature)
    by_odds = odds / odds.sum(axis=1, keepdims=True)
    is_picture = np.isfinite(log_odds)
    even = is_picture / is_picture.sum(axis=1, keepdims=True)
    return (1.0 - policy.even_share) * by_odds + policy.even_share * even
