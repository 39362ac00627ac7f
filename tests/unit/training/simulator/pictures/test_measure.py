import io

import numpy as np
from PIL import Image

from training.simulator.pictures.measure import measure, measure_jpeg


def test_a_flat_picture_has_the_values_of_its_colour() -> None:
    """(255, 102, 51): mean 136, red - blue 204, largest - smallest 204, no edges."""
    values = measure(Image.new("RGB", (90, 70), (255, 102, 51)))

    np.testing.assert_allclose(values, [136 / 255, 204 / 255, 204 / 255, 0.0], atol=1e-9)


def test_detail_counts_the_steps_between_neighbours() -> None:
    """64 columns, black then white: one step of 63 across, none down."""
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[:, 32:] = 255

    assert np.isclose(measure(Image.fromarray(pixels))[3], 1 / 63)


def test_an_encoded_picture_measures_like_its_pixels() -> None:
    picture = Image.new("RGB", (256, 256), (200, 120, 60))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)

    np.testing.assert_allclose(measure_jpeg(buffer.getvalue()), measure(picture), atol=0.02)
