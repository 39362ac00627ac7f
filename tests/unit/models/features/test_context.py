"""Features of the moment and of the place on the page."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from models.domain.event import to_us
from models.features.context import device_code
from models.query.query import Context
from tests.builders import catalogue, feature, query, sale

SHOP = catalogue(sale("a"), sale("b"))


@pytest.mark.parametrize(
    ("moment", "name", "value"),
    [
        (datetime(2025, 3, 10, 6, 0, tzinfo=UTC), "context_hour_sine", 1.0),
        (datetime(2025, 3, 10, 6, 0, tzinfo=UTC), "context_hour_cosine", 0.0),
        (datetime(2025, 3, 10, 18, 0, tzinfo=UTC), "context_hour_sine", -1.0),
        (datetime(2025, 3, 10, 1, 30, tzinfo=UTC), "context_hour_sine", math.sin(math.pi / 8)),
        (datetime(2024, 12, 31, tzinfo=UTC), "context_day_sine", math.sin(732 * math.pi / 365.25)),
        (datetime(2025, 1, 1, tzinfo=UTC), "context_day_cosine", math.cos(2 * math.pi / 365.25)),
        (datetime(2025, 3, 10, tzinfo=UTC), "context_weekday", 0.0),
        (datetime(2025, 3, 16, 23, 59, tzinfo=UTC), "context_weekday", 6.0),
    ],
)
def test_the_moment_is_told_in_utc(moment: datetime, name: str, value: float) -> None:
    asked = query(SHOP, context=Context(to_us(moment)))

    assert feature(asked, name).tolist() == pytest.approx([value] * 2, abs=1e-6)


def test_every_sale_is_scored_at_position_one_when_serving() -> None:
    assert feature(query(SHOP), "position").tolist() == [1.0, 1.0]


def test_positions_are_those_shown_when_learning() -> None:
    asked = replace(query(SHOP), positions=np.array([4, 2]))

    assert feature(asked, "position").tolist() == [4.0, 2.0]


def test_a_device_has_the_same_number_everywhere() -> None:
    """Bundles hold it, so its values are pinned; the reference is `b2sum -l 24`."""
    asked = query(SHOP, context=Context(0, device="mobile"))

    assert device_code("mobile") == 0x8B51B6 / 2**24
    assert device_code("Büro") == 0xBBBF68 / 2**24
    assert feature(asked, "position_device").tolist() == [device_code("mobile")] * 2
    assert np.isnan(feature(query(SHOP), "position_device")).all()
