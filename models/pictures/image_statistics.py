"""Image statistics: brightness, warmth, colour and detail of pictures."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

STATISTICS: Final = ("brightness", "warmth", "colour", "detail")
"""Names of the columns of `image_statistics`."""

# Chosen.
_BLOCK: Final = 4
_BRIGHTEST: Final = 255


def image_statistics(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute statistics of the mean colours of blocks of 4 by 4 pixels.

    Brightness is the mean of all channels, warmth that of red minus blue, colour that of the
    largest minus the smallest channel, detail the mean difference to the block below plus
    that to the block beside.

    Args:
        pictures: RGB pixels, uint8 ``(b, size, size, 3)``, of at least two blocks a side.

    Returns:
        Shares of the full scale in the order of `STATISTICS`, shape ``(b, 4)``.
    """
    n = pictures.shape[1] // _BLOCK
    # Pixels beyond the last whole block are left out.
    whole = pictures[:, : n * _BLOCK, : n * _BLOCK]
    # einsum is 20 times as fast here as `sum`, which would reduce block by block.
    rows = whole.reshape(len(pictures), n, _BLOCK, n * _BLOCK * 3)
    columns = np.einsum("bnrw->bnw", rows, dtype=np.uint16).reshape(-1, n, n, _BLOCK, 3)
    blocks = np.einsum("bnmck->bnmk", columns) / (_BRIGHTEST * _BLOCK**2)
    grey = blocks.mean(axis=3)
    measures = [
        grey,
        blocks[..., 0] - blocks[..., 2],
        blocks.max(axis=3) - blocks.min(axis=3),
        np.abs(np.diff(grey, axis=1)),
        np.abs(np.diff(grey, axis=2)),
    ]
    *colours, down, aside = (values.mean(axis=(1, 2)) for values in measures)
    return np.stack([*colours, down + aside], axis=1).astype(np.float32)
