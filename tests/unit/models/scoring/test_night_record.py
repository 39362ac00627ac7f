"""Records of nights: the latest first, the last hundred, and never half."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.scoring.night_record import (
    MAX_NIGHTS,
    NIGHTS_FILE,
    NightRecord,
    NightRecords,
    NightsError,
    NightVerdict,
    add_night,
)

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)


def night(number: int) -> NightRecord:
    began = FIRST + timedelta(days=number)
    return NightRecord(
        started_at=began,
        ended_at=began + timedelta(minutes=30),
        verdict=NightVerdict.REJECTED,
        reasons=[f"reason {number}"],
    )


def test_before_the_first_night_there_is_no_record(tmp_path: Path) -> None:
    assert NightRecords.read(tmp_path / "absent").items == []


def test_the_latest_night_is_first_and_a_hundred_are_kept(tmp_path: Path) -> None:
    for number in range(MAX_NIGHTS + 2):
        add_night(tmp_path, night(number))

    kept = NightRecords.read(tmp_path).items
    assert len(kept) == MAX_NIGHTS
    assert kept[0] == night(MAX_NIGHTS + 1)
    assert kept[-1] == night(2)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"items": [{"verdict": "published"}]}'])
def test_another_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NIGHTS_FILE).write_bytes(content)

    with pytest.raises(NightsError, match=f"{NIGHTS_FILE} holds no records of nights"):
        NightRecords.read(tmp_path)
