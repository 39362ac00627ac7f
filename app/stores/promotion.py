"""Store of promotions: state of the latest one, lease of the deciding worker, and counts.

Scripts: ``change_promotion``, ``lease_promotion``, ``count_batch``.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, cast

from app.errors import StoreUnavailableError
from app.stores.connection import Connection, Script
from app.stores.keys import COUNTS_TTL_S, EARLIER_PROMOTIONS, PROMOTER, PROMOTION, promotion_counts
from app.stores.numbers import whole_number
from app.stores.versioned import VersionedDocument, readable_entries
from models.domain.units import MS_PER_S
from models.promotion.promotion import Promotion

CHANGE_PROMOTION: Final = Script.named("change_promotion")
LEASE_PROMOTION: Final = Script.named("lease_promotion")
COUNT_BATCH: Final = Script.named("count_batch")

# Chosen, not measured.
KEPT_PROMOTIONS: Final = 100
RENEWALS: Final = 4  # of a lease in its lifetime: one that is lost or late does no harm

# Begins the fields of `count_batch.lua` with a worker's last batch; no name of a count does.
LAST_BATCH: Final = b"@"
_COUNTING: Final = "counting for the promotion"


@dataclass(frozen=True, slots=True)
class StoredPromotion:
    """The latest promotion and its version.

    Attributes:
        version: Rises by 1 with each change, over all promotions.
        promotion: The promotion.
    """

    version: int
    promotion: Promotion


@dataclass(frozen=True, slots=True)
class CountBatch:
    """Counts of a worker for a promotion that the store has not acknowledged yet.

    Attributes:
        number: The promotion.
        counts: What was counted.
        worker: Name of the worker.
        batch_id: A repetition has the same one, no other batch of the worker has it.
    """

    number: int
    counts: Mapping[str, int]
    worker: str
    batch_id: str


class PromotionStore:
    """A hash in Redis or Valkey, a list of earlier promotions, a lease, and counters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stored = VersionedDocument(connection, PROMOTION, Promotion, "promotion")

    async def version(self) -> int:
        """Return the version of the latest promotion, 0 where there was none."""
        return await self._stored.version()

    async def read(self) -> StoredPromotion | None:
        """Return the latest promotion, None where there was none.

        Raises:
            ValueError: If what is stored is no promotion of this software.
        """
        found = await self._stored.read()
        return found and StoredPromotion(*found)

    async def change(
        self, stored: StoredPromotion, *, before: int, promoter: str = "", begins: bool = False
    ) -> bool:
        """Put a promotion if the stored version is still the one given; return whether it was put.

        Args:
            stored: What to put.
            before: The version that must be there.
            promoter: The worker that must hold the lease; empty for a change by hand.
            begins: Whether it is another promotion: the one before is kept among `earlier`.
        """
        reply = await self._connection.run(
            CHANGE_PROMOTION,
            [PROMOTION, EARLIER_PROMOTIONS, PROMOTER],
            before,
            stored.version,
            stored.promotion.model_dump_json(),
            promoter,
            int(begins),
            KEPT_PROMOTIONS,
            doing="changing the promotion",
        )
        return bool(reply)

    async def earlier(self, limit: int) -> list[Promotion]:
        """Return up to so many of the last 100 promotions before the latest, the latest first.

        Those that cannot be read, as of another version of this software, are left out and logged.
        """
        return await readable_entries(
            self._connection,
            EARLIER_PROMOTIONS,
            parse=Promotion.model_validate_json,
            limit=limit,
            name="promotion",
        )

    async def lease(self, worker: str, *, ttl_s: float) -> bool:
        """Take or renew the lease of the deciding worker; return whether it holds the lease."""
        reply = await self._connection.run(
            LEASE_PROMOTION,
            [PROMOTER],
            worker,
            round(ttl_s * MS_PER_S),
            doing="asking who decides about the promotion",
        )
        return bool(reply)

    @asynccontextmanager
    async def leading(self, worker: str, *, ttl_s: float, longest_s: float) -> AsyncGenerator[bool]:
        """Ask for the lease, and keep it while the block runs; yield whether the worker holds it.

        After the block it is over in ``ttl_s`` at the latest. A worker that is paused renews
        nothing and loses it; one whose block hangs loses it ``ttl_s`` after ``longest_s``.

        Args:
            worker: Name of the worker.
            ttl_s: Lifetime of the lease, seconds.
            longest_s: For so long it is renewed, seconds.

        Raises:
            StoreUnavailableError: If the store cannot be asked at the beginning.
        """
        if not await self.lease(worker, ttl_s=ttl_s):
            yield False
            return
        renewing = asyncio.create_task(self._renew(worker, ttl_s, longest_s))
        try:
            yield True
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})

    async def _renew(self, worker: str, ttl_s: float, longest_s: float) -> None:
        for _ in range(round(longest_s * RENEWALS / ttl_s)):
            await asyncio.sleep(ttl_s / RENEWALS)
            # The next renewal may reach the store; else `change` finds that the lease is over.
            with suppress(StoreUnavailableError):
                await self.lease(worker, ttl_s=ttl_s)

    async def count(self, batch: CountBatch) -> None:
        """Add a batch to the counters; the same batch again adds nothing."""
        flat = [part for pair in batch.counts.items() for part in pair]
        await self._connection.run(
            COUNT_BATCH,
            [promotion_counts(batch.number)],
            batch.worker,
            batch.batch_id,
            COUNTS_TTL_S,
            *flat,
            doing=_COUNTING,
        )

    async def counts(self, number: int) -> dict[str, int]:
        """Return what all workers together counted for a promotion in the last 60 days."""
        name = promotion_counts(number)
        reply = await self._connection.execute("HGETALL", name, doing=_COUNTING)
        fields = cast("dict[bytes, bytes]", reply).items()
        return {
            k.decode(errors="backslashreplace"): whole_number(v, name, doing=_COUNTING)
            for k, v in fields
            if not k.startswith(LAST_BATCH)
        }
