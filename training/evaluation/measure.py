"""Ranking metrics of a slate's candidates, by purchases and by the simulator's ground truth."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from training.evaluation.truth import VisitTruth
from training.statistics.metrics import (
    dcg_at_k,
    diversity,
    hit_rate_at_k,
    list_auc,
    ndcg_at_k,
    novelty,
    recall_at_k,
    reciprocal_rank,
)

K: Final = 10  # usual in the field, and about what a home page shows at once

MRR: Final = "mrr"
PURCHASES: Final = f"expected_purchases_at_{K}"
REVENUE: Final = f"expected_revenue_at_{K}"
REALISED_REVENUE: Final = f"revenue_at_{K}"
DISCOUNTED_REVENUE: Final = f"discounted_revenue_at_{K}"
EXPECTED: Final = (PURCHASES, REVENUE)
"""Metrics that are sums of true probabilities: of purchases, and of their revenue."""

Figures = dict[str, float]
"""Values by metric."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Outcome of the candidates of a slate, and their true purchase probabilities.

    Attributes:
        bought: Whether each was bought, shape ``(n_sales,)``.
        paid: Amount paid for each, 0 where it was not bought, NaN where unknown, same shape.
        gains: True purchase probability of each, None where unknown, same shape.
        prices: Price of each, NaN where unknown, same shape.
        clicked: Whether each was clicked, same shape; None for sales that were not shown.
    """

    bought: NDArray[np.bool_]
    paid: NDArray[np.float64]
    gains: NDArray[np.float64] | None
    prices: NDArray[np.float64]
    clicked: NDArray[np.bool_] | None = None

    def measure(self, ranking: NDArray[np.intp]) -> Figures:
        """Measure a ranking by purchases and, where it is known, by the truth.

        Args:
            ranking: Indices of the candidates, best first, shape ``(n_sales,)``.
        """
        figures = realised(self.bought[ranking], self.paid[ranking])
        if self.gains is None:
            return figures
        return figures | expected(self.gains[ranking], self.prices[ranking])


def outcome_of(
    catalogue: Catalogue,
    rows: NDArray[np.int64],
    *,
    bought: NDArray[np.bool_],
    paid: NDArray[np.float64],
    known: VisitTruth | None,
) -> Outcome:
    """Build the outcome of candidates; a price stands for an unknown amount paid."""
    prices = np.expm1(catalogue.log_price[rows])
    # A sale that the truth of the visit does not list could not be bought: probability 0.
    gains = None if known is None else np.nan_to_num(known.truth[rows])
    paid = np.where(bought, np.where(np.isnan(paid), prices, paid), 0.0)
    return Outcome(bought, paid, gains, prices)


def realised(bought: NDArray[np.bool_], paid: NDArray[np.float64]) -> Figures:
    """Measure a ranking by purchases; NaN without any.

    Revenue is NaN where an amount is unknown, however the sale is ranked: all orders are judged on
    the same slates.

    Args:
        bought: Whether each candidate was bought, in ranked order.
        paid: Amount paid for each, in ranked order.
    """
    found = bought.any()
    is_paid = found and not np.isnan(paid).any()
    return {
        MRR: reciprocal_rank(bought) if found else float("nan"),
        f"ndcg_at_{K}": ndcg_at_k(bought.astype(np.float64), K),
        "auc": list_auc(bought),
        f"recall_at_{K}": recall_at_k(bought, K),
        "hit_rate_at_1": hit_rate_at_k(bought, 1),
        f"hit_rate_at_{K}": hit_rate_at_k(bought, K),
        # An exact sum: equal sets of sales have equal revenue, in any order.
        REALISED_REVENUE: math.fsum(paid[:K]) if is_paid else float("nan"),
        DISCOUNTED_REVENUE: dcg_at_k(paid, K) if is_paid else float("nan"),
    }


def expected(gains: NDArray[np.float64], prices: NDArray[np.float64]) -> Figures:
    """Measure a ranking by true probabilities and prices, in ranked order."""
    return {
        PURCHASES: math.fsum(gains[:K]),
        REVENUE: math.fsum((gains * prices)[:K]),
        f"true_ndcg_at_{K}": ndcg_at_k(gains, K),
    }


def varied(catalogue: Catalogue, chosen: NDArray[np.int64]) -> Figures:
    """Measure novelty and diversity of the first sales of a ranking.

    Args:
        catalogue: With the counts of the moment.
        chosen: Catalogue rows of the first sales.
    """
    # Without column 0, the impressions: novel is what customers did not touch, shown or not.
    known = catalogue.counts.totals[:, 1:].sum(axis=1)
    return {
        f"novelty_at_{K}": novelty(known, chosen),
        f"diversity_at_{K}": diversity(catalogue.topics[chosen]),
    }


@dataclass(frozen=True)
class Coverage:
    """Catalogue coverage: the candidates of all slates, and the sales among their first ten."""

    candidates: set[int] = field(default_factory=set[int])
    chosen: dict[str, set[int]] = field(default_factory=dict[str, set[int]])

    def add(self, candidates: NDArray[np.int64], chosen: Mapping[str, NDArray[np.int64]]) -> None:
        """Add a slate's candidates, and the first ten of each scorer."""
        self.candidates.update(candidates.tolist())
        for scorer, rows in chosen.items():
            self.chosen.setdefault(scorer, set()).update(rows.tolist())

    def shares(self) -> dict[str, float]:
        """Return the share of all candidates that each scorer put first at least once."""
        return {scorer: len(rows) / len(self.candidates) for scorer, rows in self.chosen.items()}
