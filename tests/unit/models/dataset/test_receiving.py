"""Times of receiving that an import set say nothing of when an event was known."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.dataset import Dataset, FaultCode, read_dataset
from models.domain.event import to_us
from tests.datasets import Row, event, sale, write_dataset

START = datetime(2025, 1, 2, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
IMPORT = START + timedelta(days=200)

Times = Sequence[tuple[datetime, datetime | None]]


def rows(times: Times) -> list[Row]:
    return [
        event(
            event_id=f"e{number}",
            at=at.isoformat(),
            received_at="" if received is None else received.isoformat(),
        )
        for number, (at, received) in enumerate(times)
    ]


def read(directory: Path, times: Times, *, as_received: bool = False) -> Dataset:
    write_dataset(directory, sales=[sale()], events=rows(times))
    return read_dataset(directory, as_received=as_received)


def codes(dataset: Dataset) -> set[FaultCode]:
    return set(dataset.faults.counts())


def test_a_history_that_was_imported_counts_as_received_when_it_happened(tmp_path: Path) -> None:
    """It is older than the 90 days that a server would have refused, too."""
    at = [START + day * DAY for day in range(100)]
    dataset = read(tmp_path, [(moment, IMPORT) for moment in at])

    (remark,) = dataset.faults.remarks()
    assert dataset.events.received_us.tolist() == [to_us(moment) for moment in at]
    assert remark.code is FaultCode.IMPORTED
    assert "100 of 100 events (100%)" in remark.reason
    assert "2025-07-21T00:00:00+00:00" in remark.reason


def test_what_a_server_took_beside_an_import_keeps_its_time(tmp_path: Path) -> None:
    imported = [(START + n * HOUR, IMPORT) for n in range(30)]
    live = [(IMPORT + n * DAY, IMPORT + n * DAY + MINUTE) for n in range(1, 11)]
    dataset = read(tmp_path, [*imported, *live])

    received = dataset.events.received_us.tolist()
    assert received[:30] == [to_us(at) for at, _ in imported]
    assert received[30:] == [to_us(moment) for _, moment in live]


LATE: list[tuple[Times, set[FaultCode]]] = [
    ([(START + n * HOUR, START + n * HOUR) for n in range(50)], set()),
    ([(START + n * HOUR, None) for n in range(50)], set()),
    ([(START, START + 2 * DAY)] + [(START + n * HOUR, None) for n in range(50)], set()),
    (
        [(START + n * HOUR, START + n * HOUR + 3 * HOUR) for n in range(50)],
        {FaultCode.RECEIVED_LATE},
    ),
    ([(START + n * HOUR, START + 9 * DAY) for n in range(20)], {FaultCode.RECEIVED_LATE}),
    ([(START + n * DAY, START + 30 * DAY) for n in range(19)], set()),
    ([(START + n * DAY, START + 30 * DAY) for n in range(20)], {FaultCode.IMPORTED}),
]


@pytest.mark.parametrize(("times", "expected"), LATE)
def test_late_events_are_noted_by_their_share(
    tmp_path: Path, times: Times, expected: set[FaultCode]
) -> None:
    assert codes(read(tmp_path, times)) == expected


def test_one_late_event_among_others_is_received_when_it_came(tmp_path: Path) -> None:
    late = START + 2 * DAY
    dataset = read(tmp_path, [(START, late)] + [(START + n * HOUR, None) for n in range(1, 50)])

    assert to_us(late) in dataset.events.received_us.tolist()


def test_a_comparison_with_what_was_served_takes_every_time_as_given(tmp_path: Path) -> None:
    moment = START + 9 * DAY
    times = [(START + n * 6 * HOUR, moment) for n in range(30)]

    dataset = read(tmp_path, times, as_received=True)

    assert set(dataset.events.received_us.tolist()) == {to_us(moment)}
    assert codes(dataset) == {FaultCode.IMPORTED}
