"""The hash that deals units to buckets; documented, so that other languages can repeat it."""

from hashlib import blake2b
from typing import Final

BUCKETS: Final = 10_000


def bucket(unit_id: str, salt: str) -> int:
    """Return the bucket of a unit, in ``[0, 10000)``.

    The first 8 bytes of BLAKE2b over the UTF-8 bytes of ``salt``, one byte ``0x1f`` and
    ``unit_id``, read as a big-endian integer, modulo 10,000.
    """
    digest = blake2b(f"{salt}\x1f{unit_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS
