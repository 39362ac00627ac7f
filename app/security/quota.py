"""Quotas: one token bucket per API key, in each worker."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

# A bucket holds what it gets in one second: a burst of a second, and then the rate.
WINDOW_S: Final = 1

# Beyond it the oldest bucket is forgotten, and is full when its key comes again: memory stays
# bounded while keys come and go. Chosen, not measured.
MAX_BUCKETS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Grant:
    """The decision on one call, and the calls that are left."""

    is_granted: bool
    limit: int  # calls a second
    left: int
    wait_s: int  # until there is one again, at least 1; 0 while there are some

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"key";r={self.left};t={WINDOW_S}',
        }


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


@dataclass(slots=True)
class Quotas:
    """Counts the calls of every key in this worker."""

    monotonic_s: Callable[[], float]
    _buckets: dict[str, _Bucket] = field(default_factory=dict[str, _Bucket])

    def take(self, key_id: str, limit: int) -> Grant:
        """Take one call from the bucket of a key, which may make `limit` calls a second."""
        now_s = self.monotonic_s()
        bucket = self._buckets.get(key_id)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[key_id] = _Bucket(float(limit), now_s)
        refilled = bucket.tokens + (now_s - bucket.filled_s) * limit / WINDOW_S
        bucket.tokens, bucket.filled_s = min(refilled, float(limit)), now_s
        is_granted = bucket.tokens >= 1
        bucket.tokens -= is_granted
        wait_s = 0 if bucket.tokens >= 1 else math.ceil((1 - bucket.tokens) * WINDOW_S / limit)
        return Grant(is_granted, limit, int(bucket.tokens), wait_s)
