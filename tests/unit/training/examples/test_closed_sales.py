"""Events of sales that are not open, counted by hand."""

import pytest

from models.domain.event import from_us
from tests.logs import HOUR, NOON, Row, catalogue, event_table, sale
from training.examples.closed_sales import if_mostly_closed

SHOP = catalogue(sale("s1", opens_at=from_us(NOON), closes_at=from_us(NOON + 2 * HOUR)))


@pytest.mark.parametrize(
    ("hours", "outside"),
    [
        ((-1, 0, 2), "2 of 3 events are before the opening or after the close"),
        ((-1, 1), None),
        ((0, 1), None),
        ((), None),
    ],
)
def test_more_than_half_of_the_events_outside_are_told(
    hours: tuple[int, ...], outside: str | None
) -> None:
    """A sale is open from its opening until just before its close; unknown sales do not count."""
    log = [Row(at=hour * HOUR) for hour in hours] + [Row(sale="unknown", at=5 * HOUR)]

    found = if_mostly_closed(event_table(log), SHOP)

    assert found.startswith(outside) if outside else not found
