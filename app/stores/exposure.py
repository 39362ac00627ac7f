"""Store of the exposure log: records of answers, packed, in streams.

A packed record is its JSON, compressed against a dictionary of what nearly all records hold.
Script: ``append_exposure``.
"""

import zlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import orjson

from app.errors import StoreUnavailableError
from app.settings import STREAM_BYTES
from app.stores.connection import Command, Connection, Script
from app.stores.keys import counts_prefix, exposures_stream, partition, stream_limit
from models.experiments.exposure_record import ExposureRecord

APPEND_EXPOSURE: Final = Script.named("append_exposure", after=["counter", "stream"])

# Packing takes 62 µs of the event loop without a window and 200 µs with a full one; at level 1 it
# takes 41 and 119 µs, for records that are 9 and 1 percent larger (processor time, 2026-11-29).
_LEVEL: Final = 6

_DICTIONARY: Final = (
    b'{"experiment":"","variant":"","unit":"customer","unit_id":"","share_bp":10000,"is_forced":'
    b'false},"popularity","variant","anonymous","snapshot","desktop","mobile",'
    b'"limit":10,"exclude":[],"excluded_unknown":0,"candidates":null,"candidates_unknown":0,'
    b'"candidates_ordered":false,"window":"","profile":"","snapshot_id":"","bundle_id":"2026",'
    b'"plan_version":0,"assignments":[],"order_by":"meta","diversity":0.0,"exploration":null,'
    b'"degraded":null,"cause":null,"feature_hash":"","took_us":1,"slate":[{"sale_id":"","rank":1,'
    b'"propensity":1.0,"purchase_probability":0.00},{"sale_id":"","rank":2,"propensity":1.0,'
    b'"purchase_probability":0.0"}],"interleaving":null,"versions":[["vitrine","0.1.0"],["numpy","2.'
    b'"],["lightgbm","4.6.0"]]}{"recommendation_id":"","customer_id":"","session_id":null,'
    b'"device_id":null,"now_us":17,"market":"fr","device":null,'
)
# Keep each that was ever used: entries that are not exported yet were packed with an earlier one.
_WITHOUT_INTERLEAVING: Final = _DICTIONARY.replace(b'"interleaving":null,', b"")
_EARLIER: Final = (_WITHOUT_INTERLEAVING, _WITHOUT_INTERLEAVING.replace(b'"cause":null,', b""))
_BY_CHECKSUM: Final = {zlib.adler32(one): one for one in (_DICTIONARY, *_EARLIER)}

_IS_WITH_DICTIONARY: Final = 0x20  # FDICT, RFC 1950: its checksum follows, in four bytes
_HEADER_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class PackedExposure:
    """A record as the log keeps it.

    Attributes:
        owner: The customer, or the answer to a visitor without id: what belongs together.
        content: The compressed record.
    """

    owner: str
    content: bytes

    @classmethod
    def from_record(cls, record: ExposureRecord) -> Self:
        """Pack a record."""
        packer = zlib.compressobj(level=_LEVEL, zdict=_DICTIONARY)
        content = packer.compress(orjson.dumps(record, default=_base64)) + packer.flush()
        return cls(record.customer_id or record.recommendation_id, content)


class ExposureLog:
    """Records of answers in Redis or Valkey, in the stream of the customer's partition."""

    def __init__(self, connection: Connection, *, stream_bytes: int = STREAM_BYTES) -> None:
        self._connection = connection
        self._limit = stream_limit(stream_bytes)

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        """Append records in one round trip; return the error of each that was not taken.

        Raises:
            StoreUnavailableError: If none was taken.
        """
        calls: list[Command] = []
        for exposure in exposures:
            p = partition(exposure.owner)
            keys = [exposures_stream(p), counts_prefix(p)]
            calls.append(APPEND_EXPOSURE.by_sha(keys, self._limit, exposure.content))
        replies = await self._connection.run_each(APPEND_EXPOSURE, calls, doing="logging answers")
        errors = [one if isinstance(one, StoreUnavailableError) else None for one in replies]
        failures = [error for error in errors if error is not None]
        if failures and len(failures) == len(errors):
            raise failures[0]
        return errors


def unpacked(content: bytes) -> bytes:
    """Return the JSON of a packed record: its own field names, bytes in base64.

    Raises:
        ValueError: If the content is anything else.
    """
    if content.startswith(b"{"):  # written before records were compressed, and not exported yet
        return content
    if len(content) < _HEADER_BYTES or not content[1] & _IS_WITH_DICTIONARY:
        msg = f"{len(content)} bytes are no packed record"
        raise ValueError(msg)
    checksum = int.from_bytes(content[2:_HEADER_BYTES])
    if (dictionary := _BY_CHECKSUM.get(checksum)) is None:
        msg = f"the record was packed with dictionary {checksum:08x}, which this version lacks"
        raise ValueError(msg)
    try:
        return zlib.decompressobj(zdict=dictionary).decompress(content)
    except zlib.error as exc:
        msg = f"the record cannot be unpacked: {exc}"
        raise ValueError(msg) from exc


def _base64(value: object) -> str:
    # Bytes alone: `b64encode` takes NumPy's numbers and arrays as well, and would log their memory.
    if isinstance(value, bytes):
        return b64encode(value).decode()
    msg = f"a record holds a {type(value).__name__}, which has no JSON"
    raise TypeError(msg)
