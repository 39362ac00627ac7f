"""The exposure log: records of answers, in streams.

Script: ``append_exposure``.
"""

from collections.abc import Sequence
from typing import Final

from app.settings import STREAM_BYTES
from app.stores.connection import Command, Connection, Script
from app.stores.exposure_record import PackedExposure
from app.stores.keys import counts_prefix, exposures_stream, partition, stream_limit

APPEND_EXPOSURE: Final = Script.named("append_exposure", after=["stream"])


class ExposureLog:
    """Records of answers in Redis or Valkey, in the stream of the customer's partition."""

    def __init__(self, connection: Connection, *, stream_bytes: int = STREAM_BYTES) -> None:
        self._connection = connection
        self._limit = stream_limit(stream_bytes)

    async def append(self, exposures: Sequence[PackedExposure]) -> None:
        """Append records, in one round trip per partition at most."""
        calls = [self._append(exposure) for exposure in exposures]
        await self._connection.run_many(APPEND_EXPOSURE, calls, doing="logging answers")

    def _append(self, exposure: PackedExposure) -> Command:
        p = partition(exposure.owner)
        keys = [exposures_stream(p), counts_prefix(p)]
        return APPEND_EXPOSURE.by_sha(keys, self._limit, exposure.content)
