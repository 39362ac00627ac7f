"""Customer's list: the sales that a night found best for them, packed for the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import key

_PACKED: Final = np.dtype(">u8")


@dataclass(frozen=True, slots=True, eq=False)
class CustomerList:
    """List of a customer.

    Attributes:
        at_us: When it was made, microseconds since the epoch; 0 without a list.
        sale_keys: `models.domain.event.key` of its sales by rank, shape ``(n_sales,)``.
    """

    at_us: int
    sale_keys: NDArray[np.uint64]

    @classmethod
    def from_sales(cls, at_us: int, sale_ids: Sequence[str]) -> Self:
        """Return the list of sales by rank."""
        return cls(at_us, np.array([key(sale_id) for sale_id in sale_ids], dtype=np.uint64))

    @classmethod
    def empty(cls) -> Self:
        """Return no list."""
        return cls(0, np.empty(0, dtype=np.uint64))

    def __len__(self) -> int:
        """Return the number of sales."""
        return len(self.sale_keys)

    def pack(self) -> bytes:
        """Serialise: 8 bytes for the time, and 8 for each sale."""
        return (
            self.at_us.to_bytes(_PACKED.itemsize, "big") + self.sale_keys.astype(_PACKED).tobytes()
        )

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read what `pack` wrote; nothing is no list.

        Raises:
            ValueError: If the content is malformed.
        """
        if not packed:
            return cls.empty()
        if len(packed) % _PACKED.itemsize:
            msg = f"a list of {len(packed)} bytes, which is no multiple of {_PACKED.itemsize}"
            raise ValueError(msg)
        at_us, *_ = np.frombuffer(packed, dtype=_PACKED, count=1).tolist()
        sales = np.frombuffer(packed, dtype=_PACKED, offset=_PACKED.itemsize)
        return cls(at_us, sales.astype(np.uint64))
