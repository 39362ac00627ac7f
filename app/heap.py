"""Heap of the C library: freed memory goes back to the system, which glibc alone puts off."""

import ctypes
from typing import Final

_LIBC: Final = ctypes.CDLL(None)
_M_MMAP_THRESHOLD: Final = -3  # malloc.h
# A column of half a million numbers: what answers take and free again is smaller.
_MAPPED_BYTES: Final = 4 * 1024 * 1024


def map_large_arrays() -> None:
    """Map large arrays each for itself, so that their memory is the system's once they are freed.

    Without, glibc raises its bound with each such array that is freed, and then keeps the next ones
    on a heap that shrinks at its end alone.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def trim_heap() -> None:
    """Give back what was freed between objects that live on; it takes some milliseconds."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
