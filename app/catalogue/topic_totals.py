"""Topic totals: what customers did with the sales of each topic."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.catalogue.catalogue_version import CatalogueVersion
from models.domain.event import CLICK, IMPRESSION, PURCHASE

# Chosen: a row of pictures.
N_EXAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class TopicTotals:
    """A topic, and the sales whose pictures show it more than any other.

    Attributes:
        name: Named by its top labels.
        n_sales: Sales of the market that can be bought now.
        examples: Ids of those whose pictures show it most.
        n_impressions: Of the last 14 days, of all its sales, closed ones included.
        n_clicks: Likewise.
        n_purchases: Likewise.
    """

    name: str
    n_sales: int
    examples: tuple[str, ...]
    n_impressions: int
    n_clicks: int
    n_purchases: int


def topic_totals(served: CatalogueVersion, market: str | None, *, now_us: int) -> list[TopicTotals]:
    """Sum the counts of the sales of each topic, the topic of most purchases first.

    A sale belongs to its largest topic. Sales without a picture belong to none.

    Args:
        served: The catalogue, whose counts are of all markets.
        market: Whose open sales are counted and named; None for any.
        now_us: The moment.
    """
    catalogue, scorer = served.catalogue, served.scorer
    if scorer is None or not scorer.topics.names or not len(catalogue):
        return []
    topics = scorer.topics
    shares = np.where(topics.is_shown, catalogue.topics, 0.0)
    main = np.where(shares.any(axis=1), shares.argmax(axis=1), -1)
    is_open = np.zeros(len(catalogue), dtype=np.bool_)
    is_open[catalogue.eligible(market, now_us)] = True
    found: list[TopicTotals] = []
    for topic in np.flatnonzero(topics.is_shown).tolist():
        members = main == topic
        totals = catalogue.counts.totals[members].sum(axis=0)
        rows = np.flatnonzero(members & is_open)
        first: list[int] = rows[np.argsort(-shares[rows, topic], kind="stable")].tolist()
        found.append(
            TopicTotals(
                name=topics.names[topic],
                n_sales=len(rows),
                examples=tuple(catalogue.sales[row].sale_id for row in first[:N_EXAMPLES]),
                n_impressions=round(float(totals[IMPRESSION])),
                n_clicks=round(float(totals[CLICK])),
                n_purchases=round(float(totals[PURCHASE])),
            )
        )
    return sorted(found, key=lambda one: (-one.n_purchases, -one.n_clicks, one.name))
