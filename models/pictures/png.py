"""Removal of PNG metadata: colour profiles and texts, which a decoder would inflate in full."""

import struct
import zlib
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEAD: Final = struct.Struct(">I4s")
_CHECKSUM_BYTES: Final = 4

_PROFILE: Final = b"iCCP"
_PLAIN, _DEFLATED, _INTERNATIONAL = b"tEXt", b"zTXt", b"iTXt"
_TEXTS: Final = frozenset({_PLAIN, _DEFLATED, _INTERNATIONAL})
# Texts that may hold the EXIF orientation.
_ORIENTED: Final = frozenset(
    {b"exif", b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp"}
)
# Of an inflated text: EXIF has at most 64 KiB, 128 KiB in hexadecimal, and Pillow refuses files
# with a text above 1 MiB.
_MAX_TEXT_BYTES: Final = 2**18


def without_metadata(picture: bytes) -> bytes:
    """Remove the colour profile and the texts of a PNG file.

    They may have megabytes, which the decoder would inflate. Texts that may hold the orientation
    are kept, one of each name.

    Args:
        picture: Content of any file.

    Returns:
        The file without these chunks; other formats unchanged. A truncated chunk is kept, so that
        the decoder reports it.
    """
    if not picture.startswith(_SIGNATURE):
        return picture
    kept = [_SIGNATURE]
    names: set[bytes] = set()
    start = len(_SIGNATURE)
    while start + _HEAD.size <= len(picture):
        length, kind = _HEAD.unpack_from(picture, start)
        end = start + _HEAD.size + length + _CHECKSUM_BYTES
        if kind in _TEXTS:
            name, _, text = picture[start + _HEAD.size : end - _CHECKSUM_BYTES].partition(b"\0")
            is_kept = name in _ORIENTED - names and _is_short(kind, text)
            names.add(name)
        else:
            is_kept = kind != _PROFILE
        if is_kept:
            kept.append(picture[start:end])
        start = end
    return b"".join([*kept, picture[start:]])


def _is_short(kind: bytes, text: bytes) -> bool:
    # Inflates no more than the limit.
    if kind == _DEFLATED:
        packed = text[1:]
    elif kind == _INTERNATIONAL and text[:1] == b"\1":
        packed = text[2:].split(b"\0", 2)[-1]
    else:
        return len(text) <= _MAX_TEXT_BYTES
    stream = zlib.decompressobj()
    try:
        stream.decompress(packed, _MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return stream.eof
