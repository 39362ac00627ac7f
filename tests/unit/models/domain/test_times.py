"""A time has one verdict and one moment, whichever way it comes in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.dataset import FaultCode, read_dataset
from models.domain.event import Event, to_us
from models.domain.sale import Sale
from models.domain.times import NaiveTimeError, read_time
from tests.datasets import EVENT, event, sale, write_dataset

TEN = 1_795_946_400_000_000  # 2026-11-29T10:00:00Z
NAIVE = FaultCode.NAIVE_TIME
UNPARSABLE = FaultCode.UNPARSABLE_TIME

TIMES: dict[str, int | FaultCode] = {
    "2026-11-29T10:00:00Z": TEN,
    "2026-11-29t10:00:00z": TEN,
    "2026-11-29 10:00:00Z": TEN,
    "2026-11-29T10:00Z": TEN,
    "2026-11-29 10:00:00+00": TEN,
    "2026-11-29T11:00:00+01:00": TEN,
    "2026-11-29T11:00:00+0100": TEN,
    "2026-11-29T11:00+01": TEN,
    "2026-11-29T04:30:00-05:30": TEN,
    "2026-11-29T10:00:00-00:00": TEN,
    "2026-11-29T10:00:00.5Z": TEN + 500_000,
    "2026-11-29T10:00:00,5Z": TEN + 500_000,
    "2026-11-29T10:00:00.123456Z": TEN + 123_456,
    "2026-11-29T10:00:00.123456789Z": TEN + 123_456,
    "2026-11-29 10:00:00 UTC": TEN,
    "2026-11-29 10:00:00.123456 UTC": TEN + 123_456,
    "2026-11-29 09:59:60 UTC": TEN,
    "2026-11-29T09:59:60Z": TEN,
    "2026-11-29 09:59:60.25+00": TEN + 250_000,
    "2026-11-29T10:00:00": NAIVE,
    "2026-11-29 10:00": NAIVE,
    "2026-11-29": NAIVE,
    "1795946400": UNPARSABLE,
    "1795946400000": UNPARSABLE,
    "1795946400.5": UNPARSABLE,
    "2026-11-29Z": UNPARSABLE,
    "2026-11-29T10Z": UNPARSABLE,
    "20261129T100000Z": UNPARSABLE,
    "2026-W48-7T10:00:00Z": UNPARSABLE,
    "26-11-29T10:00:00Z": UNPARSABLE,
    "2026-1-2T10:00:00Z": UNPARSABLE,
    "2026-11-29T10:00:00.Z": UNPARSABLE,
    "2026-11-29T10:00:00.1234567890Z": UNPARSABLE,
    "2026-11-29T10:00:61Z": UNPARSABLE,
    "2026-11-29T24:00:00Z": UNPARSABLE,
    "2026-02-30T10:00:00Z": UNPARSABLE,
    "2026-11-29T10:00:00 Z": UNPARSABLE,
    "2026-11-29T10:00:00UTC": UNPARSABLE,
    "2026-11-29 10:00:00 CET": UNPARSABLE,
    "2026-11-29T10:00:00+1": UNPARSABLE,
    "2026-11-29T10:00:00+01:00:00": UNPARSABLE,
    "2026-11-29T10:00:00+25:00": UNPARSABLE,
    "2026-11-29T10:00+01:00[Europe/Paris]": UNPARSABLE,
    "Sun Nov 29 2026 10:00:00 GMT+0000": UNPARSABLE,
    "\u0662026-11-29T10:00:00Z": UNPARSABLE,
    " 2026-11-29T10:00:00Z": UNPARSABLE,
    "2026-11-29T10:00:00Z ": UNPARSABLE,
    "now": UNPARSABLE,
}
"""What each text is: microseconds since the epoch, or why it is refused."""


def verdicts(directory: Path) -> tuple[list[int | FaultCode], list[int | FaultCode]]:
    """What a dataset makes of the times of its events and of its sales, by row."""
    dataset = read_dataset(directory)
    refused = {
        file: {f.row: f.code for f in dataset.faults if f.file.startswith(file)}
        for file in ("events", "sales")
    }
    happened = dict(zip(dataset.events.event_ids, dataset.events.at_us.tolist(), strict=True))
    opened = {one.sale_id: to_us(one.opens_at) for one in dataset.sales}
    rows = range(1, len(TIMES) + 1)
    return (
        [happened.get(f"e{row}", refused["events"].get(row)) for row in rows],  # pyright: ignore[reportReturnType] - each row is one of both
        [opened.get(f"s{row}", refused["sales"].get(row)) for row in rows],
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A dataset of CSV files, one event and one sale per text."""
    events = [event(event_id=f"e{row}", at=text) for row, text in enumerate(TIMES, start=1)]
    sales = [sale(sale_id=f"s{row}", opens_at=text) for row, text in enumerate(TIMES, start=1)]
    return write_dataset(tmp_path, events=events, sales=sales)


def test_csv_files_read_these_times(written: Path) -> None:
    assert verdicts(written) == ([*TIMES.values()], [*TIMES.values()])


def test_texts_of_a_parquet_file_are_read_alike(written: Path) -> None:
    for name in ("events", "sales"):
        path = written / f"{name}.csv"
        pl.read_csv(path, infer_schema=False).write_parquet(path.with_suffix(".parquet"))
        path.unlink()

    assert verdicts(written) == ([*TIMES.values()], [*TIMES.values()])


@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_requests_read_them_alike(text: str, expected: int | FaultCode) -> None:
    happened = orjson.dumps({**EVENT, "at": text})
    opened = orjson.dumps({"sale_id": "s1", "opens_at": text})
    if isinstance(expected, int):
        assert to_us(Event.model_validate_json(happened, strict=True).at) == expected
        assert to_us(Sale.model_validate_json(opened, strict=True).opens_at) == expected
        return
    with pytest.raises(ValidationError, match="at"):
        Event.model_validate_json(happened, strict=True)
    with pytest.raises(ValidationError, match="opens_at"):
        Sale.model_validate_json(opened, strict=True)


@pytest.mark.parametrize("number", [1_795_946_400, 1_795_946_400_000, 1_795_946_400.5, True, None])
def test_a_number_is_no_time_as_it_does_not_say_its_unit(number: float | None) -> None:
    with pytest.raises(ValidationError, match="at"):
        Event.model_validate_json(orjson.dumps({**EVENT, "at": number}), strict=True)


def test_a_time_without_an_offset_says_what_it_lacks() -> None:
    with pytest.raises(
        NaiveTimeError, match=r"'2026-11-29T10:00' carries no offset: end it with Z"
    ):
        read_time("2026-11-29T10:00")


def test_a_second_after_the_calendar_is_refused_by_all(tmp_path: Path) -> None:
    text = "9999-12-31T23:59:60Z"
    write_dataset(tmp_path, events=[event(at=text), event(event_id="e2")])

    assert len(read_dataset(tmp_path).events) == 1
    with pytest.raises(ValidationError):
        Event.model_validate_json(orjson.dumps({**EVENT, "at": text}), strict=True)


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30)),
    offset=st.integers(-1439, 1439),
)
def test_what_python_writes_is_read_to_the_microsecond(moment: datetime, offset: int) -> None:
    local = (moment.replace(tzinfo=UTC) + timedelta(minutes=offset)).replace(tzinfo=None)
    sign, (hours, minutes) = "+-"[offset < 0], divmod(abs(offset), 60)

    read = read_time(f"{local.isoformat()}{sign}{hours:02d}:{minutes:02d}")

    assert read == moment.replace(tzinfo=UTC)
