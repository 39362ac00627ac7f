"""Reader of tensors in torch's old file format, without torch.

Such a file is four pickles (magic number, protocol, system, an ordered dict of tensors), a fifth
with the keys of the storages in order, and then the raw storages. A pickle can call anything it
can name, so the unpickler here resolves three names, none of which does more than keep numbers.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

# Magic number and protocol version of torch.serialization before torch 1.6.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGES: Mapping[str, str] = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class TorchFileError(ValueError):
    """A file that is not a plain dict of tensors in torch's old format."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    key: str
    dtype: np.dtype[np.generic]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read the named tensors of a file that ``torch.save`` wrote before torch 1.6.

    Args:
        path: The file; tensors of float32 and int64 are read.

    Returns:
        Arrays by name, in the file's order; shapes as stored.

    Raises:
        TorchFileError: If the file is of another format, names anything but tensors, or is
            shorter than its tensors.

    Source:
        torch/serialization.py, ``_legacy_save``.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (pickle.UnpicklingError, EOFError, TypeError, AttributeError, KeyError) as exc:
        msg = f"{path}: not a dict of tensors in torch's old format: {exc}"
        raise TorchFileError(msg) from exc


def _read(file: BinaryIO) -> dict[str, NDArray[np.generic]]:
    if (_unpickle(file), _unpickle(file)) != (_MAGIC, _PROTOCOL):
        msg = "wrong magic number or protocol"
        raise pickle.UnpicklingError(msg)
    _unpickle(file)  # the writer's byte order and type sizes
    tensors = cast("OrderedDict[str, _Tensor]", _unpickle(file))
    keys = cast("list[str]", _unpickle(file))
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages: dict[str, NDArray[np.generic]] = {}
    for key in keys:
        size = int.from_bytes(file.read(8), "little") * dtypes[key].itemsize
        raw = file.read(size)
        if len(raw) < size:
            msg = "a storage ends early"
            raise EOFError(msg)
        storages[key] = np.frombuffer(raw, dtypes[key])
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, tensor in tensors.items():
        storage = storages[tensor.key]
        # The file states offset, shape and strides, and as_strided checks none of them: a wrong
        # one would read memory beside the storage.
        steps = zip(tensor.shape, tensor.strides, strict=True)
        last = tensor.offset + sum((length - 1) * stride for length, stride in steps)
        if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or last >= len(storage):
            msg = f"a tensor of shape {tensor.shape} exceeds its storage"
            raise EOFError(msg)
        strides = tuple(stride * storage.itemsize for stride in tensor.strides)
        view = as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
        arrays[name] = np.ascontiguousarray(view)
    return arrays


class _Unpickler(pickle.Unpickler):
    """Resolves tensors, their storages and ordered dicts; refuses every other name."""

    def find_class(self, module: str, name: str, /) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return _PlainOrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        msg = f"it names {module}.{name}"
        raise pickle.UnpicklingError(msg)

    def persistent_load(self, pid: object, /) -> tuple[str, np.dtype[np.generic]]:
        kind, dtype, key, _location, _size, view = cast("tuple[object, ...]", pid)
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            msg = "it holds something other than whole storages"
            raise pickle.UnpicklingError(msg)
        return str(key), cast("np.dtype[np.generic]", dtype)


class _PlainOrderedDict(OrderedDict[str, object]):
    """Drops the module versions that torch hangs on a dict of tensors."""

    def __setstate__(self, state: object) -> None:
        del state


def _tensor(
    storage: tuple[str, np.dtype[np.generic]],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_rest: object,
) -> _Tensor:
    return _Tensor(storage[0], storage[1], offset, shape, strides)


def _unpickle(file: BinaryIO) -> object:
    load: Callable[[], object] = _Unpickler(file).load
    return load()
