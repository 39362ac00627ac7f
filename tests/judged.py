"""Slates as a judge leaves them, with as much as a test needs to say."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from models.domain.sale import AttributeValues
from training.evaluation.protocol import EvaluatedSlate, PastEvent
from training.evaluation.segment import Situation


def slate(
    customer: int,
    metrics: Mapping[str, Mapping[str, float]],
    *,
    market: str | None = None,
    n_events: int = 0,
    age_us: int | None = None,
    now_us: int = 0,
    before: tuple[PastEvent, ...] = (),
    candidates: tuple[int, ...] = (),
    bought: tuple[int, ...] = (),
    chosen: Mapping[str, tuple[int, ...]] | None = None,
    attributes: AttributeValues = MappingProxyType({}),
    is_split: Mapping[str, bool] = MappingProxyType({}),
) -> EvaluatedSlate:
    """Build what was found on one slate."""
    return EvaluatedSlate(
        customer=customer,
        situation=Situation(market, n_events, age_us),
        metrics=metrics,
        now_us=now_us,
        before=before,
        candidates=np.array(candidates, dtype=np.int64),
        bought=np.array(bought, dtype=np.int64),
        chosen={scorer: np.array(rows, dtype=np.int64) for scorer, rows in (chosen or {}).items()},
        attributes=attributes,
        is_split=is_split,
    )
