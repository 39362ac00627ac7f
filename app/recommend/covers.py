"""Covers of an answer: the picture that stands for each shown sale, with its propensity."""

from collections.abc import Sequence
from typing import Final

from app.recommend.request import RankingRequest
from models.covers.cover_choice import chosen_covers
from models.experiments.exposure_record import CoversRecord, ShownCover, ShownItem
from models.query.query import Query
from models.scoring.scorer import Scorer
from models.slate.exploration import seed_from, uniforms

# Flips a bit of the seed: covers are independent of which sales were drawn.
_OF_COVERS: Final = 2


def shown_covers(
    asked: RankingRequest, query: Query, *, scorer: Scorer, slate: Sequence[ShownItem]
) -> CoversRecord | None:
    """Choose the covers of a slate; None where policy or bundle choose none, or no sale has two."""
    policy, model = asked.policy.covers, scorer.covers
    if policy is None or model is None:
        return None
    rows = [query.catalogue.row_for(one.sale_id) for one in slate]
    covers = chosen_covers(
        model,
        policy,
        catalogue=query.catalogue,
        window=query.window,
        rows=[row for row in rows if row is not None],
        drawn=uniforms(seed_from(asked.recommendation_id) ^ _OF_COVERS, len(slate)),
    )
    shown = [
        ShownCover(item.rank, one.number, one.propensity)
        for item, one in zip(slate, covers, strict=True)
        if one is not None
    ]
    return CoversRecord(policy.model_dump_json(), tuple(shown)) if shown else None
