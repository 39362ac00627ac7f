"""Picture decoder for untrusted files: limits are checked first, and pixels are reproducible."""

import hashlib
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from models.pictures.png import without_metadata

FORMATS = ("JPEG", "PNG", "WEBP")
Box = tuple[float, float, float, float]
Measure = Literal["bytes", "pixels", "pixels on a side", "scans"]
T = TypeVar("T")

# Pillow's documentation: visually almost equal to resampling in one step.
_REDUCING_GAP = 3.0
_START_OF_SCAN = b"\xff\xda"

# All exceptions that Pillow's three decoders raise on corrupt files.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# By EXIF orientation, what turns the stored pixels upright (EXIF 2.32, tag 0x0112).
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """Base of every reason to refuse a picture.

    Subclasses fix ``code``, the stable name that callers may match on.
    """

    code: ClassVar[str] = "picture"


class PictureTooLargeError(PictureError):
    """A picture with more bytes, pixels or scans than are accepted."""

    code = "picture_too_large"

    def __init__(self, *, measure: Measure, value: int | None, limit: int) -> None:
        """Name the measure that is exceeded, its limit and, if known, its value."""
        amount = "" if value is None else f": {value:,}"
        super().__init__(f"the picture has more than {limit:,} {measure}{amount}")
        self.measure = measure
        self.value = value
        self.limit = limit


class PictureFormatError(PictureError):
    """A file that is not a JPEG, PNG or WebP picture."""

    code = "picture_format"

    def __init__(self) -> None:
        """Name the supported formats."""
        super().__init__(f"the file is no picture in one of the formats {', '.join(FORMATS)}")


class PictureBrokenError(PictureError):
    """A picture of a supported format that cannot be decoded."""

    code = "picture_broken"

    def __init__(self, reason: str) -> None:
        """Keep the decoder's reason."""
        super().__init__(f"the picture is truncated or broken: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of untrusted pictures.

    Attributes:
        n_bytes: Bytes of the file.
        n_pixels: Width times height, read from the header.
        n_side: Pixels of the longer side.
        n_scans: Scans of a JPEG; each decodes the whole picture, and takes only a few bytes.
    """

    # Chosen, not measured: several times what photographs of shops have.
    n_bytes: int = 16 * 2**20
    n_pixels: int = 40_000_000
    n_side: int = 16_384
    n_scans: int = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """Crop and size of the input of a network.

    Attributes:
        size: Side of the square input in pixels.
        crop: Share of the shorter side that the centred square keeps, in ``(0, 1]``.
    """

    size: int = 224
    crop: float = 224 / 256


def decode(
    picture: bytes,
    frame: Frame = Frame(),
    *,
    limits: Limits = Limits(),
) -> NDArray[np.uint8]:
    """Decode an untrusted picture to a centred square.

    Sizes are checked in the header before any pixel is decoded. The EXIF orientation is applied,
    transparency is composed over white, 16-bit, grey, palette and CMYK pictures are converted to
    RGB, and an animation is represented by its first frame. The file name is not used.

    Args:
        picture: Content of a JPEG, PNG or WebP file.
        frame: Crop and size; the resampling is bicubic.
        limits: Checked before decoding.

    Returns:
        RGB pixels, shape ``(frame.size, frame.size, 3)``.

    Raises:
        PictureTooLargeError: If a limit is exceeded.
        PictureFormatError: If the bytes are of another format.
        PictureBrokenError: If the pixels cannot be decoded.
    """
    cut = partial(centred_box, crop=frame.crop)
    least = round(frame.size / frame.crop)
    return decode_cuts(
        picture,
        lambda width, height: [cut(width, height)],
        size=frame.size,
        least=least,
        limits=limits,
    )[0]


def decode_cuts(
    picture: bytes,
    boxes: Callable[[int, int], Sequence[Box]],
    *,
    size: int,
    least: int,
    limits: Limits = Limits(),
) -> NDArray[np.uint8]:
    """Decode several crops of an untrusted picture; see ``decode``.

    Args:
        picture: Content of a JPEG, PNG or WebP file.
        boxes: Returns the crops for the width and height as decoded.
        size: Side of a crop after resampling, in pixels.
        least: A JPEG is not decoded at a shorter side below this, in pixels.
        limits: Checked before decoding.

    Returns:
        RGB pixels, shape ``(n_boxes, size, size, 3)``.

    Raises:
        PictureTooLargeError: If a limit is exceeded.
        PictureFormatError: If the bytes are of another format.
        PictureBrokenError: If the pixels cannot be decoded.
    """
    image = _open(picture, limits)
    try:
        image.draft("RGB", (least, least))  # decodes a JPEG at a fraction of its size
        return _pixels(image, size, boxes)
    except (*_FAULTS, MemoryError) as exc:
        raise PictureBrokenError(str(exc)) from exc


def centred_box(width: int, height: int, *, crop: float) -> Box:
    """Return the centred square of a share of the shorter side.

    Args:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        crop: Share of the shorter side, in ``(0, 1]``.

    Returns:
        Left, top, right and bottom, in pixels.
    """
    side = min(width, height) * crop
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def read_picture(path: Path, *, limits: Limits = Limits()) -> bytes:
    """Read a picture's file, unless it is too large.

    Args:
        path: The file.
        limits: Checked before reading.

    Returns:
        The content.

    Raises:
        PictureTooLargeError: If the file is larger than the limit.
        PictureBrokenError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limits.n_bytes + 1)  # the file may grow after a call of stat
    except OSError as exc:
        raise PictureBrokenError(exc.strerror or str(exc)) from exc
    _refuse_above(limits.n_bytes, "bytes", len(content))
    return content


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a picture's file, hexadecimal; empty if it cannot be read."""
    try:
        return hashlib.sha256(read_picture(path)).hexdigest()
    except PictureError:
        return ""


def decode_many(
    paths: Iterable[Path], decode_file: Callable[[Path], T], *, threads: int = 1, ahead: int = 32
) -> Iterator[T | PictureError]:
    """Decode files in order, ahead of the consumer.

    Args:
        paths: Files of pictures.
        decode_file: Called in threads; Pillow decodes without the interpreter's lock.
        threads: Decoding threads.
        ahead: Maximum number of decoded pictures that wait for the consumer.

    Yields:
        What was decoded of each path, or the reason for which nothing was, in the order of the
        paths.
    """

    def outcome(path: Path) -> T | PictureError:
        try:
            return decode_file(path)
        except PictureError as exc:
            return exc

    waiting: deque[Future[T | PictureError]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for path in paths:
            waiting.append(pool.submit(outcome, path))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _open(picture: bytes, limits: Limits) -> Image.Image:
    _refuse_above(limits.n_bytes, "bytes", len(picture))
    try:
        image = Image.open(BytesIO(without_metadata(picture)), formats=FORMATS)
    except Image.DecompressionBombError as exc:
        raise PictureTooLargeError(measure="pixels", value=None, limit=limits.n_pixels) from exc
    except Image.UnidentifiedImageError as exc:
        raise PictureFormatError from exc
    except _FAULTS as exc:
        raise PictureBrokenError(str(exc)) from exc
    _refuse_above(limits.n_side, "pixels on a side", max(image.size))
    _refuse_above(limits.n_pixels, "pixels", image.width * image.height)
    if image.format != "PNG":
        _refuse_above(limits.n_scans, "scans", picture.count(_START_OF_SCAN))
    return image


def _refuse_above(limit: int, measure: Measure, value: int) -> None:
    if value > limit:
        raise PictureTooLargeError(measure=measure, value=value, limit=limit)


def _pixels(
    image: Image.Image, size: int, boxes: Callable[[int, int], Sequence[Box]]
) -> NDArray[np.uint8]:
    try:
        orientation: object = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _FAULTS:
        orientation = 1  # broken EXIF data are no reason to refuse pixels that decode
    turn = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None
    flat = image
    if image.mode.startswith("I"):
        # 16 bits: the high byte, as a conversion by Pillow would cut off at 255.
        high = np.asarray(image).astype(np.uint32) >> 8
        flat = Image.fromarray(np.minimum(high, 255).astype(np.uint8))
    elif image.mode != "RGB" or "transparency" in image.info:
        is_clear = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
        flat = image.convert("RGBA" if is_clear else "RGB")
    squares = [
        flat.resize((size, size), Image.Resampling.BICUBIC, box, _REDUCING_GAP)
        for box in boxes(*flat.size)
    ]
    # Crop first: transposing a square moves far fewer pixels.
    upright = squares if turn is None else [square.transpose(turn) for square in squares]
    if flat.mode == "RGBA":
        white = Image.new("RGBA", (size, size), "white")
        upright = [Image.alpha_composite(white, square) for square in upright]
    return np.stack([np.asarray(square.convert("RGB"), dtype=np.uint8) for square in upright])
