"""Position effect: P(examined) by position, for each device that has a curve of its own."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays


@dataclass(frozen=True, eq=False)
class PositionEffect:
    """P(examined) by position and device, relative to position 1.

    Attributes:
        curves: Of all devices together, and then of each of ``devices``, at position 1, 2, …:
            each starts at 1, does not rise, and is positive, shape
            ``(1 + n_devices, n_positions)``. Positions beyond have the last value.
        devices: Codes of the devices with a curve of their own, ascending, shape
            ``(n_devices,)``; see `models.features.context.device_code`.
    """

    curves: NDArray[np.float64]
    devices: NDArray[np.float64]

    @classmethod
    def of_all(cls, curve: NDArray[np.float64]) -> Self:
        """Return the effect of one curve for all devices, shape ``(n_positions,)``."""
        return cls(curve[None], np.empty(0))

    @classmethod
    def none(cls) -> Self:
        """Return the effect where every position is examined."""
        return cls.of_all(np.ones(1))

    @property
    def common(self) -> NDArray[np.float64]:
        """Curve of all devices together, shape ``(n_positions,)``."""
        return self.curves[0]

    def p_examined(
        self,
        positions: NDArray[np.floating] | NDArray[np.integer],
        devices: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        """Return P(examined) at positions, relative to position 1, shape ``(n,)``.

        Args:
            positions: From 1; an unknown one, 0 or NaN, counts as the first, shape ``(n,)``.
            devices: Codes, NaN if unknown, same shape.
        """
        if (positions == 1).all():  # as in every answer
            return np.ones(len(positions))
        # ``fmax`` ignores NaN.
        places = np.minimum(np.fmax(positions, 1), self.curves.shape[1]).astype(np.intp) - 1
        if not len(self.devices):
            return self.common[places]
        nearest = np.minimum(np.searchsorted(self.devices, devices), len(self.devices) - 1)
        rows = np.where(self.devices[nearest] == devices, nearest + 1, 0)
        return self.curves[rows, places]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays that `from_arrays` reads."""
        return {"examined": self.curves.ravel(), "examined_devices": self.devices}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Read what `to_arrays` returned.

        Raises:
            ValueError: If an array is missing or malformed.
        """
        curves, devices = arrays.floats("examined"), arrays.floats("examined_devices")
        n_curves = 1 + len(devices)
        if not len(curves) or len(curves) % n_curves or not np.all((curves > 0) & (curves <= 1)):
            msg = (
                f"examination probabilities must be in (0, 1], of {n_curves} curves of equal"
                f" length, got {curves.tolist()}"
            )
            raise ValueError(msg)
        if np.any(np.diff(devices) <= 0):
            msg = f"devices with a curve of their own must ascend, got {devices.tolist()}"
            raise ValueError(msg)
        return cls(curves.reshape(n_curves, -1), devices)
