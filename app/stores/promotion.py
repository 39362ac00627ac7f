"""The way of bundles to customers, in Redis or Valkey."""

from typing import Final, cast

from pydantic import ValidationError

from app.stores.connection import Connection, Script
from app.stores.keys import (
    COUNTS_TTL_S,
    EARLIER_PROMOTIONS,
    PROMOTER,
    PROMOTION,
    promotion_counts,
)
from app.stores.promotion_port import CountBatch, StoredPromotion
from models.promotion.promotion import Promotion

CHANGE_PROMOTION: Final = Script.named("change_promotion")
LEASE_PROMOTION: Final = Script.named("lease_promotion")
COUNT_PROMOTION: Final = Script.named("count_promotion")

KEPT_PROMOTIONS: Final = 100
MS_PER_S: Final = 1_000

_LAST_BATCH: Final = b"@"
_READING: Final = "reading the promotion"
_COUNTING: Final = "counting for the promotion"


class RedisPromotionStore:
    """A hash, a list of earlier ones, a lease, and counters; see `PromotionStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> int:
        """Return the version; see `PromotionStore`."""
        reply = await self._connection.execute("HGET", PROMOTION, "version", doing=_READING)
        return int(cast("bytes | None", reply) or 0)

    async def read(self) -> StoredPromotion | None:
        """Return the latest; see `PromotionStore`."""
        reply = await self._connection.execute(
            "HMGET", PROMOTION, "version", "json", doing=_READING
        )
        version, content = cast("list[bytes | None]", reply)
        if version is None or content is None:
            return None
        try:
            return StoredPromotion(int(version), Promotion.model_validate_json(content))
        except ValidationError as exc:
            msg = f"the stored promotion, version {int(version)}, is none of this software: {exc}"
            raise ValueError(msg) from exc

    async def change(
        self, stored: StoredPromotion, *, before: int, promoter: str = "", begins: bool = False
    ) -> bool:
        """Put another state, in one atomic step; see `PromotionStore`."""
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
        """Return earlier ones; see `PromotionStore`."""
        reply = await self._connection.execute(
            "LRANGE", EARLIER_PROMOTIONS, 0, limit - 1, doing=_READING
        )
        return [Promotion.model_validate_json(one) for one in cast("list[bytes]", reply)]

    async def lease(self, worker: str, *, ttl_s: float) -> bool:
        """Hold the lease, in one atomic step; see `PromotionStore`."""
        reply = await self._connection.run(
            LEASE_PROMOTION,
            [PROMOTER],
            worker,
            round(ttl_s * MS_PER_S),
            doing="asking who decides about the promotion",
        )
        return bool(reply)

    async def count(self, batch: CountBatch) -> None:
        """Add to the counters, in one atomic step; see `PromotionStore`."""
        flat = [part for pair in batch.counts.items() for part in pair]
        await self._connection.run(
            COUNT_PROMOTION,
            [promotion_counts(batch.number)],
            batch.worker,
            batch.batch_id,
            COUNTS_TTL_S,
            *flat,
            doing=_COUNTING,
        )

    async def counts(self, number: int) -> dict[str, int]:
        """Return the counters; see `PromotionStore`."""
        reply = await self._connection.execute("HGETALL", promotion_counts(number), doing=_COUNTING)
        fields = cast("dict[bytes, bytes]", reply).items()
        return {k.decode(): int(v) for k, v in fields if not k.startswith(_LAST_BATCH)}
