"""Image statistics, by hand."""

import numpy as np
import pytest

from models.pictures.image_statistics import image_statistics


def halves(left: tuple[int, int, int], right: tuple[int, int, int], *, size: int = 16) -> object:
    pixels = np.empty((1, size, size, 3), dtype=np.uint8)
    pixels[:, :, : size // 2], pixels[:, :, size // 2 :] = left, right
    return pixels


def look(pixels: object) -> list[float]:
    (measures,) = image_statistics(np.asarray(pixels, dtype=np.uint8)).tolist()
    return measures


def test_one_colour_has_no_detail() -> None:
    orange = halves((255, 153, 0), (255, 153, 0))

    assert look(orange) == pytest.approx([(1 + 0.6) / 3, 1.0, 1.0, 0.0])


def test_an_edge_is_seen_once_between_four_blocks() -> None:
    """Of the three steps to the right only the middle one is an edge; none points down."""
    assert look(halves((0, 0, 0), (255, 255, 255))) == pytest.approx([0.5, 0.0, 0.0, 1 / 3])


def test_grain_finer_than_a_block_is_not_detail() -> None:
    checks = np.indices((16, 16)).sum(axis=0) % 2 * 255
    pixels = np.repeat(checks[None, :, :, None], 3, axis=3)

    assert look(pixels) == pytest.approx([0.5, 0.0, 0.0, 0.0])


def test_pixels_beyond_the_last_whole_block_do_not_count() -> None:
    pixels = np.zeros((1, 18, 18, 3), dtype=np.uint8)
    pixels[:, 16:], pixels[:, :, 16:] = 255, 255

    assert look(pixels) == [0.0, 0.0, 0.0, 0.0]


def test_a_picture_is_measured_bit_for_bit_the_same_among_others(rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8)

    alone = [image_statistics(one[None])[0].tobytes() for one in pictures]

    assert [one.tobytes() for one in image_statistics(pictures)] == alone


def test_no_pictures_have_no_measures() -> None:
    assert image_statistics(np.empty((0, 16, 16, 3), dtype=np.uint8)).shape == (0, 4)
