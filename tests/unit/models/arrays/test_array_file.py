"""Arrays as bytes: read with the expected type, or refused."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays.array_file import Arrays

ARRAYS = {
    "numbers": np.array([[0.5, np.nan], [np.inf, -0.0]]),
    "counts": np.array([3, -1], dtype=np.int64),
    "names": np.array(["ski", "hôtel"]),
    "raw": np.frombuffer(b"\x00\xff", dtype=np.uint8),
}
CONTENT = Arrays(ARRAYS).to_bytes()


def test_arrays_round_trip() -> None:
    restored = Arrays.from_bytes(CONTENT)

    assert restored.floats("numbers").tobytes() == ARRAYS["numbers"].tobytes()
    assert restored.vectors("counts").dtype == np.float32
    assert restored.integers("counts").tolist() == [3, -1]
    assert restored.strings("names") == ["ski", "hôtel"]
    assert restored.octets("raw") == b"\x00\xff"


def test_equal_arrays_give_equal_bytes() -> None:
    """Ids of snapshots and bundles are hashes of such bytes: no clock may enter them."""
    assert Arrays({name: array.copy() for name, array in ARRAYS.items()}).to_bytes() == CONTENT


@pytest.mark.parametrize(
    ("method", "name", "reason"),
    [
        ("floats", "absent", "array 'absent' is missing"),
        ("floats", "names", "array 'names' has the type <U5"),
        ("integers", "numbers", "array 'numbers' has the type float64"),
        ("octets", "counts", "array 'counts' has the type int64"),
        ("strings", "counts", "array 'counts' has the type int64"),
    ],
)
def test_an_array_of_another_type_is_refused(method: str, name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        getattr(Arrays.from_bytes(CONTENT), method)(name)


def test_pickled_objects_are_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, objects=np.array([{"a": 1}], dtype=object))

    with pytest.raises(ValueError, match="allow_pickle=False"):
        Arrays.from_bytes(buffer.getvalue())


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def directory_byte(offset: int, value: int) -> bytes:
    """The content with one byte of the archive's first directory entry set."""
    content = bytearray(CONTENT)
    content[content.index(b"PK\x01\x02") + offset] = value
    return bytes(content)


def promising(shape: str) -> bytes:
    """An archive of one array whose header promises more than its bytes hold."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        length = len(header).to_bytes(2, "little")
        file.writestr("array.npy", b"\x93NUMPY\x01\x00" + length + header)
    return buffer.getvalue()


FLAGS, METHOD = 8, 10


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK", id="stub"),
        pytest.param(b"no arrays", id="text"),
        pytest.param(npy(), id="one array"),
        pytest.param(CONTENT[:-30], id="cut at its end"),
        pytest.param(CONTENT[: len(CONTENT) // 2], id="cut in half"),
        pytest.param(directory_byte(FLAGS, 1), id="encrypted"),
        pytest.param(directory_byte(FLAGS, 32), id="patched"),
        pytest.param(directory_byte(METHOD, 8), id="deflated"),
        pytest.param(directory_byte(METHOD, 12), id="bzip2"),
        pytest.param(directory_byte(METHOD, 14), id="lzma"),
        pytest.param(directory_byte(METHOD, 99), id="unknown method"),
        pytest.param(promising("(1125899906842624,)"), id="petabytes"),
        pytest.param(promising("(9223372036854775807, 9)"), id="beyond 64 bits"),
        pytest.param(promising("(-1,)"), id="negative shape"),
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Arrays.from_bytes(content)


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_changed_byte_is_a_value_error_or_harmless(offset: int, change: int) -> None:
    """No other exception escapes: callers promise an error of their own for a bad file."""
    content = bytearray(CONTENT)
    content[offset] ^= change

    try:
        restored = Arrays.from_bytes(bytes(content))
    except ValueError:
        return
    for name, array in ARRAYS.items():
        if name in restored.arrays:
            assert restored.arrays[name].tobytes() == array.tobytes()


@given(st.binary(max_size=200))
def test_a_hostile_member_is_a_value_error(member: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("array.npy", b"\x93NUMPY\x01\x00" + member)

    with pytest.raises(ValueError, match=r".+"):
        Arrays.from_bytes(buffer.getvalue())
