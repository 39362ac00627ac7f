"""Pilot estimate of P(examined) by position, for recommenders that weigh impressions by it."""

from typing import Final

import numpy as np

from models.features.schema import FeatureSchema
from models.ranker.position_effect import PositionEffect
from training.configuration import RunConfig
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.refit import fit_recommenders
from training.examples.slates import Slates
from training.ranker.fit_offset import examination
from training.ranker.position_bias import sale_days
from training.ranker.training_rows import TrainingRows
from training.recommenders.interactions import Interactions

# 50,000 entries of a home page, with 2,500 clicks at a click rate of 5%; chosen.
_MAX_SLATES: Final = 5_000


def pilot_examination(
    past: PointInTime, slates: Slates, *, config: RunConfig, seed: int
) -> PositionEffect:
    """Estimate P(examined) by position before the recommenders are fitted that need it.

    The relevance is that of recommenders that count every impression alike, fitted on what
    precedes the later half of the slates, at up to 5,000 slates of this half.

    Args:
        past: The state at every moment.
        slates: Settled slates, ordered by time.
        config: Lists that a caller ordered have no position effect.
        seed: Draws a sample of the examples.

    Returns:
        See `training.ranker.fit_offset.examination`; 1 where positions teach nothing.
    """
    if config.caller_orders or not slates.positions.any():
        return PositionEffect.none()
    half = len(slates) // 2
    until_us = int(slates.now_us[half])
    later = np.flatnonzero(slates.now_us > until_us)
    chosen = slates.select(later[:: len(later) // _MAX_SLATES + 1])
    known = Interactions.from_events(past.events, past.catalogue).before(until_us)
    schema = FeatureSchema(fit_recommenders(known))
    labels = (chosen.clicked | chosen.bought).astype(np.float64)
    rows = TrainingRows(assemble_slates(past, chosen, schema=schema), labels, chosen.weights)
    return examination(rows, sale_days(chosen), schema=schema, seed=seed)
