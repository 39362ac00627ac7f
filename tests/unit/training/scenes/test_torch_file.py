"""Only numbers come out of a file in torch's old format."""

import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from training.configuration import SceneNetwork
from training.scenes.efficientnet import weights_path
from training.scenes.torch_file import TorchFileError, read_tensors

MAGIC = 0x1950A86A20F9469CFC6C
HEADER = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)


def tensors(shape: tuple[int, ...], strides: tuple[int, ...], *, offset: int = 0) -> bytes:
    """Write by hand the pickle of one tensor ``w`` in a storage named ``s``."""
    numbers = [b"J" + struct.pack("<i", number) for number in (offset,)]
    tuples = [
        b"(" + b"".join(b"J" + struct.pack("<i", number) for number in numbers_of) + b"t"
        for numbers_of in (shape, strides)
    ]
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0sX\x03\0\0\0cpuK\x04NtQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers[0] + b"".join(tuples)
    return b"\x80\x02}X\x01\0\0\0w" + call + b"\x89)tRs."


def content(pickled: bytes, values: list[float], *, claimed: int | None = None) -> bytes:
    count = len(values) if claimed is None else claimed
    raw = struct.pack("<q", count) + np.array(values, dtype="<f4").tobytes()
    return HEADER + pickled + pickle.dumps(["s"], 2) + raw


def read(tmp_path: Path, raw: bytes) -> dict[str, list[list[float]]]:
    path = tmp_path / "weights.pth"
    path.write_bytes(raw)
    return {name: value.tolist() for name, value in read_tensors(path).items()}


def test_a_tensor_is_read_with_its_strides(tmp_path: Path) -> None:
    values = [1.0, 2.0, 3.0, 4.0]

    assert read(tmp_path, content(tensors((2, 2), (2, 1)), values)) == {"w": [[1, 2], [3, 4]]}
    assert read(tmp_path, content(tensors((2, 2), (1, 2)), values)) == {"w": [[1, 3], [2, 4]]}
    assert read(tmp_path, content(tensors((1, 2), (2, 1), offset=2), values)) == {"w": [[3, 4]]}


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((2, 3), (3, 1), 0), ((2, 2), (2, 1), 1), ((2, 2), (2, 1), -1), ((2, 2), (-2, 1), 2)],
)
def test_a_tensor_beyond_its_storage_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    raw = content(tensors(shape, strides, offset=offset), [1.0, 2.0, 3.0, 4.0])

    with pytest.raises(TorchFileError, match="exceeds its storage"):
        read(tmp_path, raw)


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TorchFileError, match="a storage ends early"):
        read(tmp_path, content(tensors((1, 4), (4, 1)), [1.0], claimed=4))


@pytest.mark.parametrize(
    "name", [b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nDoubleStorage\n", b"ccodecs\nopen\n"]
)
def test_no_other_name_is_resolved(tmp_path: Path, name: bytes) -> None:
    """A pickle that may call anything may do anything."""
    call = b"\x80\x02" + name + b"(X\x04\0\0\0echotR."

    with pytest.raises(TorchFileError, match="it names"):
        read(tmp_path, HEADER + call)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TorchFileError, match="not a dict of tensors"):
        read(tmp_path, b"PK\x03\x04")
    with pytest.raises(TorchFileError, match="magic"):
        read(tmp_path, pickle.dumps(1, 2) * 3)
    with pytest.raises(TorchFileError, match="not a dict of tensors"):
        read(tmp_path, HEADER + pickle.dumps(OrderedDict[str, int](w=1), 2) + pickle.dumps([], 2))


def test_the_package_of_the_weights_is_read() -> None:
    weights = read_tensors(weights_path(SceneNetwork.LITE0))

    assert len(weights) == 296
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].shape == (1000, 1280)
