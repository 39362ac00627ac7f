"""Pictures of strangers: the right pixels, or a clear refusal."""

import io
import resource
import struct
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw

from models.pictures.picture import (
    Frame,
    Limits,
    PictureBrokenError,
    PictureError,
    PictureFormatError,
    PictureTooLargeError,
    centred_box,
    decode,
    decode_many,
    read_picture,
)
from tests.proofs import Proof

WHOLE = Frame(size=32, crop=1.0)
RED, GREEN, BLUE = (250, 10, 10), (10, 250, 10), (10, 10, 250)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = (64, 48), colour: object = RED) -> Image.Image:
    return Image.new(mode, size, colour)  # pyright: ignore[reportArgumentType] - a colour of the mode


def halves(first: tuple[int, int, int], second: tuple[int, int, int]) -> Image.Image:
    """Draw a square whose left half has the first colour and the right half the second."""
    image = Image.new("RGB", (64, 64), second)
    ImageDraw.Draw(image).rectangle((0, 0, 31, 63), fill=first)
    return image


def png(width: int, height: int, data: bytes = b"", *, extra: bytes = b"") -> bytes:
    """Write the chunks of a grey PNG by hand, with any claim about its size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def close_to(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels.reshape(-1, 3).mean(axis=0) - colour).max() < 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_give_the_pictures_colour(kind: str) -> None:
    pixels = decode(encoded(plain(), kind), WHOLE)

    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert close_to(pixels, RED)


def test_the_centre_of_the_shorter_side_is_cut() -> None:
    assert centred_box(400, 200, crop=0.5) == (150.0, 50.0, 250.0, 150.0)


def test_what_lies_outside_the_centred_square_is_not_seen() -> None:
    image = Image.new("RGB", (300, 100), BLUE)
    ImageDraw.Draw(image).rectangle((100, 0, 199, 99), fill=GREEN)

    assert close_to(decode(encoded(image), Frame(32, 0.9)), GREEN)


@pytest.mark.parametrize(
    ("image", "kind", "colour"),
    [
        (plain("CMYK", colour=(0, 255, 255, 0)), "JPEG", (254, 0, 0)),
        (plain("L", colour=100), "JPEG", (100, 100, 100)),
        (plain("1", colour=1), "PNG", (255, 255, 255)),
        (plain("LA", colour=(0, 0)), "PNG", (255, 255, 255)),
        (plain("RGBA", colour=(0, 0, 255, 0)), "PNG", (255, 255, 255)),
        (plain("RGBA", colour=(0, 0, 0, 128)), "WEBP", (127, 127, 127)),
        (plain().convert("P"), "PNG", RED),
        (Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16)), "PNG", (128, 128, 128)),
    ],
    ids=["cmyk", "grey", "bilevel", "grey-alpha", "clear", "half-clear", "palette", "16-bit"],
)
def test_every_mode_becomes_rgb_over_white(
    image: Image.Image, kind: str, colour: tuple[int, int, int]
) -> None:
    assert close_to(decode(encoded(image, kind), WHOLE), colour)


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])

    assert close_to(decode(encoded(image, transparency=0), WHOLE), (255, 255, 255))


@pytest.mark.parametrize(
    ("orientation", "top", "left"),
    [
        (1, None, RED),
        (2, None, BLUE),
        (3, None, BLUE),
        (4, None, RED),
        (5, RED, None),
        (6, RED, None),
        (7, BLUE, None),
        (8, BLUE, None),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_of_the_camera_is_applied(
    kind: str,
    orientation: int,
    top: tuple[int, int, int] | None,
    left: tuple[int, int, int] | None,
) -> None:
    """Stored is red left of blue; the tag says where the first row and column belong."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = decode(encoded(halves(RED, BLUE), kind, exif=exif), WHOLE)

    if top is not None:
        assert close_to(pixels[2:14], top)
    if left is not None:
        assert close_to(pixels[:, 2:14], left)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_note_on_orientation_does_not_cost_the_picture() -> None:
    picture = encoded(plain(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")

    assert close_to(decode(picture, WHOLE), RED)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    others = [plain(colour=GREEN), plain(colour=BLUE)]
    picture = encoded(plain(), kind, save_all=True, append_images=others, duration=50)

    assert close_to(decode(picture, WHOLE), RED)


def test_one_pixel_is_a_picture() -> None:
    assert close_to(decode(encoded(plain(size=(1, 1))), WHOLE), RED)


def test_a_line_of_pixels_is_a_picture() -> None:
    assert close_to(decode(encoded(plain(size=(9_000, 1))), WHOLE), RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_20_000_pixels_a_side_are_refused(kind: str) -> None:
    with pytest.raises(PictureTooLargeError, match="more than 16,384 pixels on a side: 20,000"):
        decode(encoded(plain(size=(20_000, 2)), kind))


@pytest.mark.parametrize("side", [8_000, 16_000])
def test_a_claimed_size_is_refused_before_any_pixel_is_decoded(side: int) -> None:
    """Pillow has a bound of its own, which lies between the two sizes."""
    bomb = png(side, side, b"\x00")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(PictureTooLargeError, match="more than 40,000,000 pixels"):
        decode(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_size_beyond_every_bound_is_a_refusal_like_the_others() -> None:
    with pytest.raises(PictureError):
        decode(png(2**31 - 1, 2**31 - 1))


def test_a_webp_canvas_is_refused_by_its_header() -> None:
    picture = bytearray(encoded(plain("RGBA", colour=(1, 2, 3, 4)), "WEBP", exif=b"Exif\x00\x00"))
    assert picture[12:16] == b"VP8X"
    picture[24:30] = (16_000 - 1).to_bytes(3, "little") * 2

    with pytest.raises(PictureError):
        decode(bytes(picture))


def chunk_of(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def with_chunk(picture: bytes, chunk: bytes) -> bytes:
    """Put a chunk behind the header of a PNG, which has 13 bytes."""
    start = 8 + 12 + 13
    return picture[:start] + chunk + picture[start:]


NOISE = np.random.default_rng(1).bytes(4 * 2**20)
BALLAST = {
    "profile": chunk_of(b"iCCP", b"wide\0\0" + zlib.compress(NOISE)),
    "profile that explodes": chunk_of(b"iCCP", b"wide\0\0" + zlib.compress(bytes(80 * 2**20))),
    "broken profile": chunk_of(b"iCCP", b"wide\0\0no deflate"),
    "text": chunk_of(b"tEXt", b"Comment\0" + NOISE),
    "deflated text": chunk_of(b"zTXt", b"Comment\0\0" + zlib.compress(NOISE)),
    "text that explodes": chunk_of(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(80 * 2**20))
    ),
    "metadata": chunk_of(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(NOISE)),
    "many metadata": 99 * chunk_of(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + bytes(60_000)),
    "text of another compression": chunk_of(b"zTXt", b"Comment\0\7" + b"?"),
}


@pytest.mark.parametrize("chunk", BALLAST.values(), ids=BALLAST.keys())
def test_what_is_beside_the_pixels_of_a_png_costs_neither_the_picture_nor_memory(
    chunk: bytes,
) -> None:
    assert close_to(decode(with_chunk(encoded(plain()), chunk), WHOLE), RED)


def test_a_large_profile_costs_no_picture_of_another_format() -> None:
    for kind in ("JPEG", "WEBP"):
        assert close_to(decode(encoded(plain(), kind, icc_profile=NOISE[: 2**20]), WHOLE), RED)


@pytest.mark.parametrize("deflated", [True, False])
def test_an_orientation_in_the_metadata_of_a_png_is_applied(deflated: bool) -> None:
    told = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3"/>'
    flag, text = (b"\1", zlib.compress(told)) if deflated else (b"\0", told)
    chunk = chunk_of(b"iTXt", b"XML:com.adobe.xmp\0" + flag + b"\0\0\0" + text)

    pixels = decode(with_chunk(encoded(halves(RED, BLUE)), chunk), WHOLE)

    assert close_to(pixels[:, 2:14], BLUE)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    progressive = encoded(halves(RED, BLUE), "JPEG", progressive=True)
    start = progressive.rindex(b"\xff\xda")
    picture = progressive[:start] + progressive[start:-2] * 200 + progressive[-2:]

    with pytest.raises(PictureTooLargeError, match="more than 100 scans"):
        decode(picture)


def test_more_bytes_than_the_limit_are_refused() -> None:
    with pytest.raises(PictureTooLargeError, match="more than 10 bytes: 11"):
        decode(bytes(11), limits=Limits(n_bytes=10))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_broken(kind: str, rng: np.random.Generator) -> None:
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    picture = encoded(noise, kind)

    with pytest.raises(PictureBrokenError, match="truncated or broken"):
        decode(picture[: len(picture) // 2])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + bytes(100),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"II*\x00" + bytes(100),
        b"BM" + bytes(100),
        b"PK\x03\x04" + bytes(100),
    ],
    ids=["empty", "zeros", "svg", "gif", "eps", "tiff", "bmp", "zip"],
)
def test_other_formats_are_refused(content: bytes) -> None:
    with pytest.raises(PictureFormatError, match="no picture in one of the formats"):
        decode(content)


def test_what_follows_or_hides_in_a_picture_plays_no_part() -> None:
    archive = b"PK\x03\x04<script>alert(1)</script>"

    assert close_to(decode(encoded(plain()) + archive, WHOLE), RED)
    assert close_to(decode(encoded(plain(), "JPEG", comment=archive) + archive, WHOLE), RED)


def test_the_name_of_a_file_plays_no_part(tmp_path: Path) -> None:
    path = tmp_path / "picture.exe"
    path.write_bytes(encoded(plain(), "WEBP"))

    assert close_to(decode(read_picture(path), WHOLE), RED)


def test_codes_are_stable() -> None:
    """Answers of the service carry them."""
    codes = [PictureTooLargeError.code, PictureFormatError.code, PictureBrokenError.code]

    assert codes == ["picture_too_large", "picture_format", "picture_broken"]


def test_many_files_keep_their_order_and_their_faults(tmp_path: Path) -> None:
    contents = [encoded(plain(colour=RED)), b"none", encoded(plain(colour=BLUE))] * 20
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)

    outcomes = list(
        decode_many(
            [*paths, tmp_path / "gone"], lambda path: decode(read_picture(path), WHOLE), threads=3
        )
    )

    assert [isinstance(outcome, PictureFormatError) for outcome in outcomes[:60]] == [
        False,
        True,
        False,
    ] * 20
    assert isinstance(outcomes[-1], PictureBrokenError)
    first, third = outcomes[0], outcomes[2]
    assert isinstance(first, np.ndarray)
    assert isinstance(third, np.ndarray)
    assert close_to(first, RED)
    assert close_to(third, BLUE)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(1_000))

    with pytest.raises(PictureTooLargeError, match="more than 100 bytes: 101"):
        read_picture(path, limits=Limits(n_bytes=100))


def seeds(rng: np.random.Generator) -> list[bytes]:
    """Encode one noisy picture in every way that the decoders distinguish."""
    noise = rng.integers(0, 256, (24, 24, 4), dtype=np.uint8)
    rgba, rgb = Image.fromarray(noise), Image.fromarray(noise[..., :3].copy())
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    frames = {"save_all": True, "append_images": [rgb], "duration": 9}
    return [
        encoded(rgb, "JPEG", exif=exif),
        encoded(rgb, "JPEG", progressive=True),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(rgb.convert("L"), "JPEG"),
        encoded(rgba, "PNG", exif=exif),
        encoded(rgb.convert("P"), "PNG", transparency=0),
        encoded(rgb, "PNG", **frames),
        encoded(Image.fromarray(noise.view(np.uint16)[..., 0].copy()), "PNG"),
        encoded(rgba, "WEBP", exif=exif),
        encoded(rgb, "WEBP", lossless=True),
        encoded(rgb, "WEBP", **frames),
    ]


def mutated(picture: bytes, rng: np.random.Generator) -> bytes:
    """Change a few bytes, and sometimes cut, repeat or exchange a stretch."""
    content = bytearray(picture)
    for position in rng.integers(0, len(content), rng.integers(1, 9)):
        content[position] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, int(rng.integers(256))))
    start, end = sorted(rng.integers(0, len(content), 2).tolist())
    match int(rng.integers(8)):
        case 0:
            del content[start:end]
        case 1:
            content[start:start] = content[start : min(end, start + 200)]
        case 2:
            content[start:end] = content[start:end][::-1]
        case _:
            pass
    # Right checksums let a mutation of a PNG reach the code behind them.
    return with_checksums(bytes(content)) if rng.random() < 0.5 else bytes(content)


def with_checksums(content: bytes) -> bytes:
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    fixed, position = bytearray(content), 8
    while position + 12 <= len(fixed):
        length = int.from_bytes(fixed[position : position + 4])
        end = position + 8 + length
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[position + 4 : end]).to_bytes(4)
        position = end + 4
    return bytes(fixed)


@pytest.mark.prove
@pytest.mark.filterwarnings("ignore")  # Pillow warns of oddities that it then decodes
def test_mutated_pictures_give_pixels_or_a_refusal(proof: Proof, rng: np.random.Generator) -> None:
    """No other exception, no crash, no picture that takes seconds, no growing memory."""
    pictures = seeds(rng)
    outcomes: Counter[str] = Counter()
    slowest_s, settled_kb = 0.0, 0
    n_executions = proof.scale(200_000)
    for number in range(n_executions):
        picture = mutated(pictures[number % len(pictures)], rng)
        start_s = time.perf_counter()
        try:
            pixels = decode(picture, WHOLE)
        except PictureError as exc:
            outcomes[exc.code] += 1
        else:
            assert pixels.shape == (32, 32, 3)
            outcomes["decoded"] += 1
        slowest_s = max(slowest_s, time.perf_counter() - start_s)
        if number == n_executions // 2:
            settled_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    growth_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - settled_kb

    proof.record(
        "fuzz-pictures",
        {
            "executions": n_executions,
            "outcomes": dict(outcomes),
            "slowest_s": slowest_s,
            "growth_kb": growth_kb,
        },
    )
    assert outcomes["decoded"] > n_executions // 100
    assert outcomes["picture_broken"] > n_executions // 100
    assert slowest_s < 5
    assert growth_kb < 200_000
