"""Events of twenty customers that a shop imported, for logs of tests."""

from datetime import UTC, datetime, timedelta

from tests.datasets import Row, event

START = datetime(2025, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
IMPORT = START + timedelta(days=40)


def imported_events() -> list[Row]:
    """Sixty events, an hour apart from `START` on, all received at `IMPORT`."""
    return [
        event(
            event_id=f"e{number}",
            customer_id=f"c{number % 20}",
            at=(START + number * HOUR).isoformat(),
            received_at=IMPORT.isoformat(),
        )
        for number in range(60)
    ]
