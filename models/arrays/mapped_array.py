"""Arrays in files without a name: their pages leave the memory when others need it.

The name of a file is removed at once, so that its space is free when no array reads it any more,
however the process ends.
"""

import os
from math import prod
from pathlib import Path
from tempfile import NamedTemporaryFile  # noqa: TID251 - no other process sees the file
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)

# Chosen: what is copied at once is in memory twice.
_ROWS_AT_ONCE: Final = 16_384


def mapped_array(
    shape: tuple[int, ...], dtype: type[_Number], *, folder: Path | None
) -> NDArray[_Number]:
    """Make an array in a file of a folder; without a folder, or elements, it is in memory.

    Raises:
        OSError: If the file cannot be made, or the disk has no room for it.
    """
    n_bytes = prod(shape) * np.dtype(dtype).itemsize
    if folder is None or not n_bytes:
        return np.empty(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix=".array-") as file:
        try:
            # Now: a disk that is full when a page is written ends the process by a signal.
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as exc:
            raise OSError(exc.errno, f"{exc.strerror}, {n_bytes:,} bytes", str(folder)) from exc
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def rows_of(array: NDArray[_Number], rows: NDArray[np.intp]) -> NDArray[_Number]:
    """Copy rows of an array, in their order; those of an array in a file to a file beside it.

    Args:
        array: Shape ``(n, …)``.
        rows: Shape ``(m,)``.

    Raises:
        OSError: See `mapped_array`.
    """
    folder = _folder_of(array)
    if folder is None:
        return array[rows]
    found = mapped_array((len(rows), *array.shape[1:]), array.dtype.type, folder=folder)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        found[part] = array[rows[part]]
    return found


def beside(array: NDArray[np.generic], values: NDArray[_Number]) -> NDArray[_Number]:
    """Return values in a file beside the one of an array; as they are if it is in memory.

    Raises:
        OSError: See `mapped_array`.
    """
    return held(values, folder=_folder_of(array))


def held(values: NDArray[_Number], *, folder: Path | None) -> NDArray[_Number]:
    """Return values in a file of a folder; as they are without a folder.

    Raises:
        OSError: See `mapped_array`.
    """
    if folder is None:
        return values
    found = mapped_array(values.shape, values.dtype.type, folder=folder)
    found[...] = values
    return found


def _folder_of(array: NDArray[np.generic]) -> Path | None:
    if not isinstance(array, np.memmap) or array.filename is None:
        return None
    return Path(array.filename).parent
