"""Orders of a bundle side by side: the first sales of the meta-model and of every recommender."""

from dataclasses import dataclass

import numpy as np

from app.recommend.model_query import query_of
from app.recommend.request import RankingRequest


@dataclass(frozen=True, slots=True)
class OrderedSale:
    """A sale at its place in one order.

    Attributes:
        sale_id: The sale.
        purchase_probability: By the meta-model, in every order.
    """

    sale_id: str
    purchase_probability: float


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes:
        name: Of the policy or recommender.
        items: The first sales; none of those that a recommender knows nothing of.
    """

    name: str
    items: tuple[OrderedSale, ...]


def orders_of(asked: RankingRequest) -> tuple[Order, ...]:
    """Rank a request by every policy of its bundle, without rules, diversity and exploration.

    Returns:
        Each policy's first `limit` sales; empty where no model is served.
    """
    if asked.served is None or asked.served.scorer is None:
        return ()
    scorer, query = asked.served.scorer, query_of(asked, asked.served)
    if not len(query.rows):
        return tuple(Order(name, ()) for name in scorer.policies)
    sales = query.catalogue.sales
    probabilities, keys = scorer.probabilities(query), scorer.orders(query)
    found: list[Order] = []
    for name, column in zip(scorer.policies, keys.T, strict=True):
        first: list[int] = np.argsort(-column, kind="stable")[: asked.request.limit].tolist()
        items = tuple(
            OrderedSale(sales[int(query.rows[place])].sale_id, float(probabilities[place]))
            for place in first
            if np.isfinite(column[place])
        )
        found.append(Order(name, items))
    return tuple(found)
