"""What serving needs from a store of promotions; see `app.stores.ports`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from models.promotion.promotion import Promotion


@dataclass(frozen=True, slots=True)
class StoredPromotion:
    """The latest promotion, and which state of it that is.

    Attributes:
        version: Rises by 1 with each change, over all promotions.
        promotion: The promotion.
    """

    version: int
    promotion: Promotion


@dataclass(frozen=True, slots=True)
class CountBatch:
    """What a worker counted for a promotion and has not been acknowledged yet.

    Attributes:
        number: The promotion.
        counts: What was counted.
        worker: Who counted.
        batch_id: A repetition has the same one, no other batch of the worker has it.
    """

    number: int
    counts: Mapping[str, int]
    worker: str
    batch_id: str


class PromotionStore(Protocol):
    """Tells all workers how far the latest promotion is, and which of them decides."""

    async def version(self) -> int:
        """Return the version of the latest promotion, 0 where there was none."""
        ...

    async def read(self) -> StoredPromotion | None:
        """Return the latest promotion, None where there was none.

        Raises:
            ValueError: If what is there is no promotion of this software.
        """
        ...

    async def change(
        self, stored: StoredPromotion, *, before: int, promoter: str = "", begins: bool = False
    ) -> bool:
        """Put a promotion where there is one of a version.

        Return whether it was put.

        Args:
            stored: What to put.
            before: The version that must be there.
            promoter: The worker that must be the promoter; empty for a change by hand.
            begins: Whether it is another promotion: the one before is kept among `earlier`.
        """
        ...

    async def earlier(self, limit: int) -> list[Promotion]:
        """Return so many of the last 100 promotions before the latest, the latest first."""
        ...

    async def lease(self, worker: str, *, ttl_s: float) -> bool:
        """Make a worker the promoter for a while, unless another one is; return which."""
        ...

    async def count(self, batch: CountBatch) -> None:
        """Add to what was counted for a promotion; the same batch again adds nothing."""
        ...

    async def counts(self, number: int) -> dict[str, int]:
        """Return what all workers together counted for a promotion in the last 60 days."""
        ...
