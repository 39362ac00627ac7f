"""A file of profiles: what is written is read, and nothing else is."""

from pathlib import Path

import polars as pl
import pytest

from models.dataset.profile_file import (
    PROFILES_FILE,
    CustomerProfile,
    ProfileFileError,
    newest_profiles,
    profiles_to_bytes,
    read_profiles,
)
from models.domain.profile import Profile

KNOWN = (
    CustomerProfile("c1", Profile(first_us=7, counts=(1, 2, 3, 4, 5, 0, 0, 0, 0, 0)), last_us=9),
    CustomerProfile("é/c2", Profile(first_us=1, counts=(0, 1, 0, 0, 0, 0, 0, 0, 0, 0)), last_us=1),
)


@pytest.mark.parametrize("customers", [KNOWN, ()])
def test_what_is_written_is_read(tmp_path: Path, customers: tuple[CustomerProfile, ...]) -> None:
    path = tmp_path / PROFILES_FILE
    path.write_bytes(profiles_to_bytes(customers))

    assert tuple(read_profiles(path)) == customers


def test_a_profile_of_another_length_is_refused_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / PROFILES_FILE
    path.write_bytes(profiles_to_bytes(KNOWN))
    frame = pl.read_parquet(path)
    frame.with_columns(profile=pl.lit(b"12345678")).write_parquet(path)

    with pytest.raises(ProfileFileError, match=r"profiles\.parquet: row 1: a packed profile"):
        list(read_profiles(path))


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / PROFILES_FILE
    pl.DataFrame({"customer_id": ["c1"]}).write_parquet(path)

    with pytest.raises(ProfileFileError, match="other columns than customer_id, profile, last_us"):
        list(read_profiles(path))


def test_bytes_that_are_no_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / PROFILES_FILE
    path.write_bytes(b"PAR1 not at all")

    with pytest.raises(ProfileFileError, match="cannot be read as profiles"):
        list(read_profiles(path))


def test_the_newest_night_is_found_by_its_folder(tmp_path: Path) -> None:
    for night in ("2026-11-02", "2026-11-10"):
        (tmp_path / night).mkdir()
        (tmp_path / night / PROFILES_FILE).touch()
    (tmp_path / "2026-11-11").mkdir()  # a night that was killed

    assert newest_profiles(tmp_path).parent.name == "2026-11-10"


def test_without_a_night_the_message_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileFileError, match="python -m training nightly"):
        newest_profiles(tmp_path)
