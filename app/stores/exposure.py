"""The exposure log in Redis or Valkey."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

import orjson

from app.serving.exposure import ExposureRecord
from app.stores.connection import Command, Connection, Script
from app.stores.layout import STREAM_ENTRIES, counts_prefix, exposures_stream, partition

APPEND_EXPOSURE: Final = Script.named("append_exposure")


class RedisExposureLog:
    """Answers in the stream of their customer's partition; see `ExposureLog`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def append(self, records: Sequence[ExposureRecord]) -> None:
        """Keep records in one round trip; see `ExposureLog`."""
        calls = [_append(record) for record in records]
        await self._connection.run_many(APPEND_EXPOSURE, calls, doing="logging answers")


def exposure_json(record: ExposureRecord) -> bytes:
    """Serialise a record under its own field names, bytes in base64."""
    return orjson.dumps(record, default=_base64)


def _append(record: ExposureRecord) -> Command:
    p = partition(record.customer_id or record.recommendation_id)
    keys = [exposures_stream(p), counts_prefix(p)]
    return APPEND_EXPOSURE.by_sha(keys, STREAM_ENTRIES, exposure_json(record))


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    msg = f"a record holds a {type(value).__name__}, which has no JSON"
    raise TypeError(msg)
