"""Scoring of lists: for each customer the slate that a request would be answered with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import EligibleSalesCache
from models.domain.event import DISLIKE
from models.query.candidates import CallerChoice, candidate_query
from models.query.query import Context, Query
from models.rules.constraints import may_be_shown
from models.rules.rule import disliked_rule
from models.scoring.scorer import Scorer
from models.slate.shortlist import shortlisted
from models.slate.slate import make_slate
from models.slate.slate_policy import SlatePolicy
from training.lists.customers import KnownCustomer

LIST_COLUMNS: Final = {
    "customer_id": pl.String,
    "market": pl.String,
    "device": pl.String,
    "rank": pl.UInt16,
    "sale_id": pl.String,
    "purchase_probability": pl.Float64,
    "policy": pl.String,
    "reason": pl.String,
}
"""Columns of a file of lists, one row a sale of a list."""

AUDIENCE_COLUMNS: Final = {
    "customer_id": pl.String,
    "market": pl.String,
    "purchase_probability": pl.Float64,
}
"""Columns of a file of the customers of one sale."""

_NO_CHOICE: Final = CallerChoice()


@dataclass(frozen=True, slots=True)
class ScoredList:
    """The list of one customer.

    Attributes:
        rows: Catalogue rows by rank.
        probabilities: As an answer gives them, same shape.
        reasons: Of the first sales.
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    reasons: Sequence[str]


class ListScorer:
    """Scores customers at one moment, by the code of a request."""

    def __init__(
        self,
        scorer: Scorer,
        catalogue: Catalogue,
        *,
        at_us: int,
        policy: SlatePolicy,
        hide_disliked_days: int,
    ) -> None:
        """Prepare the catalogue for the scorer.

        Args:
            scorer: The model.
            catalogue: All sales, with their counts at the moment.
            at_us: The moment.
            policy: Order, diversity and rules; without exploration.
            hide_disliked_days: As the service's setting; 0 hides nothing.
        """
        scorer.prepare(catalogue)
        self._scorer = scorer
        self._eligible = EligibleSalesCache(catalogue)
        self._catalogue = catalogue
        self._at_us = at_us
        self._policy = policy
        self._hiding = policy
        if hide_disliked_days:
            self._hiding = policy.behind(disliked_rule(hide_disliked_days))

    def query(self, known: KnownCustomer) -> Query:
        """Return the query of a request of this customer."""
        return candidate_query(
            self._eligible.at(known.market, self._at_us),
            Context(self._at_us, known.market, known.device),
            window=known.window,
            profile=known.profile,
            choice=_NO_CHOICE,
        )

    def best(self, known: KnownCustomer, *, limit: int, n_explained: int) -> ScoredList:
        """Return the list of a customer; an empty one where nothing is open in their market.

        Args:
            known: The customer.
            limit: Sales at most.
            n_explained: The first sales that get a reason.
        """
        policy = self._policy_for(known)
        query = shortlisted(self.query(known), self._scorer, policy=policy, limit=limit)
        scores = self._scorer.score(query, policy.order_by)
        slate = make_slate(query, scores, policy=policy, limit=limit, seed=0)
        rows, reasons = query.rows[slate.picks], list[str]()
        if n_explained and len(rows):
            first = rows[:n_explained]
            explained = self._scorer.explain(query, first, policy=self._policy.order_by)
            reasons = [one.sentence for one in explained]
        return ScoredList(rows, scores.probabilities[slate.picks], reasons)

    def _policy_for(self, known: KnownCustomer) -> SlatePolicy:
        return self._hiding if known.window.has(DISLIKE) else self._policy

    def probability(self, known: KnownCustomer, row: int) -> float | None:
        """Return the probability of one sale for a customer, None where they may not see it.

        Market, times and rules decide.
        """
        query = self.query(known)
        if row not in query.rows:
            return None
        one = query.select(np.array([row]))
        if not may_be_shown(self._policy_for(known).rules.live, one).all():
            return None
        return float(self._scorer.probabilities(one)[0])

    def lists(
        self, customers: Iterable[KnownCustomer], *, limit: int, n_explained: int
    ) -> pl.DataFrame:
        """Return the lists of customers as rows of `LIST_COLUMNS`, sorted by customer."""
        found = [(one, self.best(one, limit=limit, n_explained=n_explained)) for one in customers]
        found = sorted(found, key=lambda pair: _sort_key(pair[0]))
        return self._frame(found)

    def audience(self, customers: Iterable[KnownCustomer], *, row: int) -> pl.DataFrame:
        """Return the customers who may see a sale as rows of `AUDIENCE_COLUMNS`."""
        rows = [
            (one.customer_id, one.market, probability)
            for one in customers
            if (probability := self.probability(one, row)) is not None
        ]
        return pl.DataFrame(rows, schema=AUDIENCE_COLUMNS, orient="row").sort("customer_id")

    def _frame(self, found: Sequence[tuple[KnownCustomer, ScoredList]]) -> pl.DataFrame:
        sizes = [len(one.rows) for _, one in found]
        owner = pl.Series(np.repeat(np.arange(len(found)), sizes))
        owners = {
            name: pl.Series([getattr(one, name) for one, _ in found], dtype=pl.String)
            for name in ("customer_id", "market", "device")
        }
        ids = pl.Series([sale.sale_id for sale in self._catalogue.sales], dtype=pl.String)
        columns = {name: each.gather(owner) for name, each in owners.items()} | {
            "rank": np.concatenate([np.arange(1, n + 1) for n in (*sizes, 0)]),
            "sale_id": ids.gather(_joined([one.rows for _, one in found])),
            "purchase_probability": np.concatenate(
                [np.empty(0), *(one.probabilities for _, one in found)]
            ),
            "policy": pl.repeat(self._policy.order_by, len(owner), eager=True),
            "reason": _reasons(found, sizes),
        }
        return pl.DataFrame(columns, schema_overrides=LIST_COLUMNS).select(*LIST_COLUMNS)


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _reasons(found: Sequence[tuple[KnownCustomer, ScoredList]], sizes: Sequence[int]) -> pl.Series:
    starts = np.cumsum([0, *sizes]).tolist()
    texts = {
        start + number: reason
        for start, (_, one) in zip(starts, found, strict=False)
        for number, reason in enumerate(one.reasons)
    }
    column = pl.repeat(None, starts[-1], dtype=pl.String, eager=True)
    return column.scatter(list(texts), list(texts.values())) if texts else column


def _sort_key(known: KnownCustomer) -> tuple[str, str, str]:
    return known.customer_id or "", known.market or "", known.device or ""
