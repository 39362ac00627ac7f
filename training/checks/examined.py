"""P(examined) of a bundle: by position, and by device where devices differ."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from models.arrays.array_file import Arrays
from models.features.context import device_code
from models.ranker.position_effect import PositionEffect
from models.ranker.two_stage import OFFSET_FILE
from models.scoring.bundle import Bundle, BundleError
from training.report.block import Table

_POSITIONS: Final = (1, 2, 3, 5, 10, 20)
# Bundles keep codes of devices; these names are usual, and those of the simulated shop.
_DEVICES: Final = ("mobile", "desktop", "tablet", "app", "web")


def examined_shares(bundle: Bundle) -> dict[str, dict[int, float]]:
    """Return P(examined) at some positions relative to the first, of all devices and single ones.

    Devices whose curve differs are named by their code, unless they are one of `_DEVICES`; see
    `models.features.context.device_code`.

    Raises:
        BundleError: If the ranker's file is malformed.
    """
    try:
        effect = PositionEffect.from_arrays(Arrays.from_bytes(bundle.content(OFFSET_FILE)))
    except ValueError as exc:
        msg = f"bundle {bundle.id}: {OFFSET_FILE}: {exc}"
        raise BundleError(msg) from exc
    names = {device_code(name): name for name in _DEVICES}
    codes = {"all devices": math.nan} | {
        names.get(code, f"device of code {code:.7f}"): code for code in effect.devices.tolist()
    }
    positions = np.array(_POSITIONS)
    return {
        name: dict(
            zip(
                _POSITIONS,
                effect.p_examined(positions, np.full(len(positions), code)).tolist(),
                strict=True,
            )
        )
        for name, code in codes.items()
    }


def examined_table(shares: Mapping[str, Mapping[int, float]]) -> Table:
    """Return a table of `examined_shares`, a line a curve and a column a position."""
    rows = [[name, *(f"{share:.3f}" for share in of.values())] for name, of in shares.items()]
    positions = [str(one) for one in _POSITIONS]
    return Table("P(examined) by position, relative to position 1", ["", *positions], rows)
