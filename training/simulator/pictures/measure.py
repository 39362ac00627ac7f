"""Picture attributes without a label, measured from the pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.simulator.parameters import ATTRIBUTES

_SIDE = 64  # of the reduced picture; chosen


def measure(image: Image.Image) -> NDArray[np.float64]:
    """Measure what tastes depend on beside the scene, on a reduction to 64 x 64 pixels.

    Brightness is the mean of all channels, warmth the mean of red minus blue, saturation the
    mean of the largest minus the smallest channel, detail the mean absolute difference of
    neighbouring pixels; each divided by 255.

    Args:
        image: A picture of any size.

    Returns:
        Values in the order of ``ATTRIBUTES``, shape ``(4,)``.
    """
    small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float64) / 255.0
    grey = pixels.mean(axis=2)
    values = {
        "brightness": grey.mean(),
        "warmth": (pixels[:, :, 0] - pixels[:, :, 2]).mean(),
        "saturation": np.ptp(pixels, axis=2).mean(),
        "detail": np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean(),
    }
    return np.array([values[name] for name in ATTRIBUTES])


def measure_jpeg(picture: bytes) -> NDArray[np.float64]:
    """Measure an encoded JPEG; see `measure`."""
    with Image.open(io.BytesIO(picture)) as image:
        image.draft("RGB", (_SIDE, _SIDE))
        return measure(image)
