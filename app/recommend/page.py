"""Page of an answer: its rows from one scoring, and their records."""

import numpy as np
from numpy.typing import NDArray

from app.recommend.request import RankingRequest
from models.experiments.exposure_record import RowRecord
from models.query.query import Query
from models.scoring.scorer import Scorer, Scores
from models.slate.exploration import seed_from
from models.slate.page import PageRow, PageSlate, candidates_of
from models.slate.slate import make_page
from models.slate.slate_policy import SlatePolicy


def ranked_page(
    asked: RankingRequest, query: Query, *, scores: Scores, scorer: Scorer, policy: SlatePolicy
) -> PageSlate:
    """Fill the rows that were asked for."""
    rows = asked.request.rows
    return make_page(
        query,
        scores,
        rows=rows,
        orders=[_order(row, scores, scorer) for row in rows],
        policy=policy,
        seed=seed_from(asked.recommendation_id),
    )


def exploration_cost(
    page: PageSlate, scores: Scores, *, scorer: Scorer, device: str | None
) -> float | None:
    """Return the outcomes that the exploration of the first row is expected to lose.

    None where it changed nothing.
    """
    first = page.rows[0].slate
    if not first.is_explored:
        return None
    n_places = max(len(first.picks), len(first.unexplored))
    return first.cost(scores.probabilities, scorer.p_examined(n_places, device))


def priced_list(
    asked: RankingRequest, query: Query, *, scores: Scores, scorer: Scorer
) -> tuple[Query, Scores, int]:
    """Return what rules are priced in, with its length: a list, or the first row of a page.

    Pins and guarantees are of the first row.
    """
    if not asked.request.rows:
        return query, scores, asked.request.limit
    row = asked.request.rows[0]
    indices = np.flatnonzero(candidates_of(row, query)[1])
    part = Scores(
        _order(row, scores, scorer)[indices],
        scores.probabilities[indices],
        scores.features[indices],
        scores.prices[indices],
        scores.margins[indices],
        scores.sizes[indices],
    )
    return query.select(query.rows[indices]), part, row.limit


def row_records(asked: RankingRequest, query: Query, *, page: PageSlate) -> tuple[RowRecord, ...]:
    """Return the records of a page's rows, from the top."""
    sales = query.catalogue.sales
    return tuple(
        RowRecord(
            row,
            len(filled.slate.picks),
            None if filled.because_of is None else sales[filled.because_of].sale_id,
        )
        for row, filled in zip(asked.request.rows, page.rows, strict=True)
    )


def empty_rows(asked: RankingRequest) -> tuple[RowRecord, ...]:
    """Return the records of the rows of a page without sales."""
    return tuple([RowRecord(row, 0, None) for row in asked.request.rows])


def _order(row: PageRow, scores: Scores, scorer: Scorer) -> NDArray[np.float64]:
    if row.order_by is None or row.order_by not in scorer.policies:
        return scores.order
    return scorer.order(scores, row.order_by)
