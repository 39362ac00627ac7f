"""Named arrays as bytes (``.npz``), without pickle."""

import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

# Raised by numpy and zipfile on corrupt bytes: RuntimeError for an encrypted flag or an unknown
# compression, MemoryError for an impossible size in a header.
_UNREADABLE: Final = (
    OSError,
    EOFError,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
    OverflowError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Arrays:
    """Named arrays, each read with the expected type."""

    arrays: Mapping[str, NDArray[np.generic]]

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed or contains pickled objects.
        """
        try:
            # Pickled objects could run code.
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls({name: arrays[name] for name in arrays.files})
        except _UNREADABLE as exc:
            msg = f"not a file of arrays: {exc}"
            raise ValueError(msg) from exc

    def to_bytes(self, *, compressed: bool = False) -> bytes:
        """Serialise; equal arrays in equal order give equal bytes.

        Args:
            compressed: Whether to compress.
        """
        buffer = io.BytesIO()
        save = np.savez_compressed if compressed else np.savez
        save(buffer, allow_pickle=False, **self.arrays)
        return buffer.getvalue()

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return an array of numbers as float64; see `vectors`."""
        return self._of_kind(name, "fiu").astype(np.float64)

    def vectors(self, name: str) -> NDArray[np.float32]:
        """Return an array of numbers as float32.

        Raises:
            ValueError: If there is no such array, or it holds something else.
        """
        return self._of_kind(name, "fiu").astype(np.float32)

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return an array of integers as int64; see `vectors`."""
        return self._of_kind(name, "iu").astype(np.int64)

    def octets(self, name: str) -> bytes:
        """Return an array of bytes; see `vectors`."""
        return self._of_kind(name, "u").tobytes()

    def strings(self, name: str) -> list[str]:
        """Return an array of strings as a list; see `vectors`."""
        return [str(value) for value in self._of_kind(name, "U").tolist()]

    def _of_kind(self, name: str, kinds: str) -> NDArray[np.generic]:
        if name not in self.arrays:
            msg = f"array {name!r} is missing"
            raise ValueError(msg)
        array = self.arrays[name]
        if array.dtype.kind not in kinds:
            msg = f"array {name!r} has the type {array.dtype}"
            raise ValueError(msg)
        return array
