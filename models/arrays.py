"""Named arrays as bytes, nothing pickled."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def arrays_to_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Serialise arrays so that equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_from_bytes(content: bytes) -> dict[str, NDArray[np.generic]]:
    """Read what `arrays_to_bytes` wrote.

    Raises:
        ValueError: If the content is anything else, pickled objects included.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as exc:
        msg = f"not a file of arrays: {exc}"
        raise ValueError(msg) from exc
