"""Features of the moment and of where the sale stands on the page."""

import math
from typing import Final

import numpy as np

from models.events import from_us
from models.features.feature import Column, FeatureGroup, Scope
from models.query import Query

_YEAR_DAYS: Final = 365.25
_HOURS: Final = 24.0


def _columns(query: Query) -> list[Column]:
    now = from_us(query.context.now_us)
    hour = 2 * math.pi * (now.hour + now.minute / 60) / _HOURS
    day = 2 * math.pi * now.timetuple().tm_yday / _YEAR_DAYS
    return [
        math.sin(hour),
        math.cos(hour),
        math.sin(day),
        math.cos(day),
        float(now.weekday()),
        1.0 if query.positions is None else query.positions.astype(np.float64),
        math.nan if query.upstream_ranks is None else query.upstream_ranks.astype(np.float64),
    ]


CONTEXT: Final = FeatureGroup(
    scope=Scope.CONTEXT,
    features={
        "context_hour_sine": "Time of day in UTC, sine",
        "context_hour_cosine": "Time of day in UTC, cosine",
        "context_day_sine": "Day of the year, sine",
        "context_day_cosine": "Day of the year, cosine",
        "context_weekday": "Day of the week, Monday 0",
        "position": "Position shown: a bias, learned; 1 when serving",
        "upstream_rank": "Rank in the caller's own order; unknown without one",
    },
    columns=_columns,
    decreasing=frozenset({"position", "upstream_rank"}),
)
