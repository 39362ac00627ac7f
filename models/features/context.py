"""Context features: time of the request, and position of the sale."""

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import from_us
from models.domain.units import MINUTE_US
from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Step
from models.query.query import Batch

_YEAR_DAYS: Final = 365.25
_HOURS: Final = 24.0
_CODE_BYTES: Final = 3  # as many as a float32 holds exactly

POSITION: Final = "position"
"""Name of the position feature: the rank at which a sale was shown, from 1."""

POSITION_DEVICE: Final = "position_device"
"""Name of the feature that says on which device it was shown, see `device_code`."""


# Of the answers of one minute; replay and training ask for many minutes, one after the other.
@lru_cache(maxsize=64)
def _moment(minute: int) -> Sequence[float]:
    now = from_us(minute * MINUTE_US)
    # As angles, so that midnight and the end of the year are no jumps.
    hour = 2 * math.pi * (now.hour + now.minute / 60) / _HOURS
    day = 2 * math.pi * now.timetuple().tm_yday / _YEAR_DAYS
    circle = [math.sin(hour), math.cos(hour), math.sin(day), math.cos(day)]
    return (*circle, float(now.weekday()))


CONTEXT: Final = FeatureGroup(
    scope=Scope.CONTEXT,
    features={
        "context_hour_sine": "Time of day in UTC, sine",
        "context_hour_cosine": "Time of day in UTC, cosine",
        "context_day_sine": "Day of the year, sine",
        "context_day_cosine": "Day of the year, cosine",
        "context_weekday": "Day of the week, Monday 0",
    },
    step=lambda _: Step.copying(5),
    given=lambda query: _moment(query.context.now_us // MINUTE_US),
)


# Chosen: callers may send any device.
@lru_cache(maxsize=64)
def device_code(device: str | None) -> float:
    """Return a number in ``[0, 1)`` that names a device, NaN for an unknown one.

    It needs no list of devices, which training and service would have to share. The first 3
    bytes of BLAKE2b of the name, over ``2**24``: a float32 holds them exactly.
    """
    if device is None:
        return math.nan
    digest = blake2b(device.encode(), digest_size=_CODE_BYTES).digest()
    return int.from_bytes(digest, "big") / 256**_CODE_BYTES


def _positions(batch: Batch) -> NDArray[np.float64] | None:
    if all(one.positions is None for one in batch.queries):
        return None
    first = np.ones(batch.rows.shape[1])
    shown = [first if one.positions is None else one.positions for one in batch.queries]
    positions = np.array(shown, dtype=np.float64)  # shape (n_queries, n_sales)
    values = np.empty((*positions.shape, 2))
    values[..., 0] = np.where(positions > 0, positions, np.nan)
    values[..., 1] = np.array([device_code(one.context.device) for one in batch.queries])[:, None]
    return values


POSITION_GROUP: Final = FeatureGroup(
    scope=Scope.CONTEXT,
    features={
        POSITION: "Position in the shown list, to correct for the position effect; 1 when "
        "serving, unknown where it is not on record",
        POSITION_DEVICE: "Number of the device that it was shown on, as devices may have position "
        "effects of their own; nothing else reads it",
    },
    step=lambda _: Step.copying(2),
    given=lambda query: (1.0, device_code(query.context.device)),
    replaced=_positions,
    decreasing=frozenset({POSITION}),
)
