"""An array in a file has its values, takes no name, and is refused where there is no room."""

import resource
from pathlib import Path

import numpy as np
import pytest

from models.arrays.mapped_array import mapped_array, rows_of


def test_a_file_holds_what_is_written_and_has_no_name(tmp_path: Path) -> None:
    array = mapped_array((3, 2), np.float32, folder=tmp_path / "scratch")

    array[1:] = [[1.0, 2.0], [3.0, 4.0]]

    assert array.tolist() == [[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]
    assert isinstance(array, np.memmap)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("n", [0, 5, 40_000])
def test_rows_of_an_array_in_a_file_are_in_a_file(n: int, tmp_path: Path) -> None:
    array = mapped_array((50_000, 1), np.int64, folder=tmp_path)
    array[:, 0] = np.arange(50_000)

    found = rows_of(array[10_000:], np.arange(n)[::-1])

    assert found[:, 0].tolist() == list(range(10_000 + n - 1, 9_999, -1))
    assert isinstance(found, np.memmap) == (n > 0)


def test_without_a_folder_all_is_in_memory() -> None:
    array = mapped_array((2, 1), np.int64, folder=None)
    array[:] = [[7], [8]]

    found = rows_of(array, np.array([1]))

    assert found.tolist() == [[8]]
    assert not isinstance(found, np.memmap)


def test_a_disk_without_room_is_named_before_anything_is_written(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"1,001 bytes: '/.*full'"):
            mapped_array((1_001,), np.uint8, folder=tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "full").iterdir()) == []
