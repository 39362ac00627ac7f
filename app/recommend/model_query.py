"""Queries of models for a request: all candidates, and those that are ranked in full."""

import numpy as np

from app.catalogue.catalogue_version import CatalogueVersion
from app.recommend.request import RankingRequest
from models.query.candidates import candidate_query
from models.query.query import Context, Query
from models.scoring.scorer import Scorer, Scores
from models.slate.shortlist import shortlisted
from models.slate.slate_policy import SlatePolicy


def query_of(asked: RankingRequest, served: CatalogueVersion) -> Query:
    """Return the model's query for a request, in a catalogue version."""
    request, state = asked.request, asked.state
    return candidate_query(
        served.eligible_sales.at(request.market, state.now_us),
        Context(state.now_us, request.market, request.device),
        window=state.window,
        profile=state.profile,
        choice=request.choice,
    )


def shortlist_of(
    asked: RankingRequest, query: Query, *, scorer: Scorer, policy: SlatePolicy
) -> Query:
    """Return the query for the candidates that are ranked in full; see `shortlisted`."""
    request = asked.request
    return shortlisted(query, scorer, policy=policy, limit=request.limit, rows=request.rows)


def with_sales_of(
    other: Query, scored: tuple[Query, Scores], *, every: Query, asked: RankingRequest
) -> tuple[Query, Scores]:
    """Return a shortlist with the sales of another one too, whose catalogue may be another.

    Args:
        other: The other shortlist.
        scored: The shortlist and its scores.
        every: All candidates of its query.
        asked: Its request.
    """
    query = scored[0]
    if query is every or asked.served is None or asked.served.scorer is None:
        return scored
    known = query.catalogue.rows_for(other.catalogue.keys[other.rows])
    both = every.select(np.intersect1d(np.union1d(query.rows, known), every.rows))
    return both, asked.served.scorer.score(both, asked.policy.order_by)
