"""Order sizes: what a purchase of a sale is worth, in multiples of its price."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays


@dataclass(frozen=True, eq=False)
class OrderSizes:
    """Mean amount of a purchase over the price of the sale: pieces, where prices do not change.

    Attributes:
        keys: Sale keys with a purchase, ascending, shape ``(n,)``.
        sizes: Mean size of a purchase of each, positive, same shape.
        usual: Mean size of all purchases, for other sales.
    """

    keys: NDArray[np.uint64]
    sizes: NDArray[np.float64]
    usual: float

    @classmethod
    def single(cls) -> Self:
        """Return one piece a purchase of every sale."""
        return cls(np.empty(0, dtype=np.uint64), np.empty(0), 1.0)

    def of(self, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Return the size of a purchase of each sale, shape of ``keys``."""
        if not len(self.keys):
            return np.full(len(keys), self.usual)
        places = np.minimum(self.keys.searchsorted(keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.sizes[places], self.usual)

    def to_bytes(self) -> bytes:
        """Serialise as arrays; see `from_bytes`."""
        arrays = {
            "keys": self.keys.view(np.int64),
            "sizes": self.sizes,
            "usual": np.array([self.usual]),
        }
        return Arrays(arrays).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed.
        """
        arrays = Arrays.from_bytes(content)
        keys, sizes = arrays.integers("keys"), arrays.floats("sizes")
        usual = arrays.floats("usual")
        if keys.shape != sizes.shape or usual.shape != (1,):
            msg = f"order sizes of {len(keys)} sales are {len(sizes)}"
            raise ValueError(msg)
        return cls(keys.view(np.uint64), sizes, float(usual[0]))
