"""Context features: time of the request, and position of the sale."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import from_us
from models.features.feature import FeatureGroup, Scope
from models.query.query import Batch

_YEAR_DAYS: Final = 365.25
_HOURS: Final = 24.0


def _values(batch: Batch) -> NDArray[np.float64]:
    # Shape (n_queries, 1, 5): all candidates of a query share its moment.
    values: list[list[float]] = []
    for query in batch.queries:
        now = from_us(query.context.now_us)
        # As angles, so that midnight and the end of the year are no jumps.
        hour = 2 * math.pi * (now.hour + now.minute / 60) / _HOURS
        day = 2 * math.pi * now.timetuple().tm_yday / _YEAR_DAYS
        circle = [math.sin(hour), math.cos(hour), math.sin(day), math.cos(day)]
        values.append([*circle, float(now.weekday())])
    return np.array(values)[:, None]


CONTEXT: Final = FeatureGroup(
    scope=Scope.CONTEXT,
    features={
        "context_hour_sine": "Time of day in UTC, sine",
        "context_hour_cosine": "Time of day in UTC, cosine",
        "context_day_sine": "Day of the year, sine",
        "context_day_cosine": "Day of the year, cosine",
        "context_weekday": "Day of the week, Monday 0",
    },
    values=_values,
)


def _positions(batch: Batch) -> NDArray[np.float64]:
    if all(one.positions is None for one in batch.queries):
        return np.ones((len(batch), 1, 1))
    first = np.ones(batch.rows.shape[1])
    shown = [first if one.positions is None else one.positions for one in batch.queries]
    positions = np.array(shown, dtype=np.float64)[..., None]  # shape (n_queries, n_sales, 1)
    return np.where(positions > 0, positions, np.nan)


POSITION_GROUP: Final = FeatureGroup(
    scope=Scope.CONTEXT,
    features={
        "position": "Position in the shown list, to correct for the position effect; 1 when "
        "serving, unknown where it is not on record",
    },
    values=_positions,
    decreasing=frozenset({"position"}),
)
