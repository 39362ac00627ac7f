"""Cursor of the next page: the sales that were shown so far, by 40 bits of each key.

It holds all that it says, so that any worker reads it; made up, it says no more than `exclude`. A
checksum refuses one that was damaged, by which a page would repeat sales.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from models.query.candidates import SEEN_SHIFT

START: Final = "start"
"""Asks for the first page."""

MAX_SEEN: Final = 1_000
"""Sales that a cursor holds at most; chosen: it is then 6,674 characters, which URLs may have."""

_FORM: Final = b"\x02"
_BYTES: Final = 5
_CHECK_BYTES: Final = 5  # of a thousand million damaged ones less than one passes
MAX_CURSOR: Final = 6_700
"""Characters of a cursor at most."""


def read_cursor(text: str) -> tuple[int, ...]:
    """Return the short keys of the sales that a cursor names, see `CallerChoice.seen`.

    Raises:
        ValueError: If no answer had this cursor.
    """
    if text == START:
        return ()
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (Base64Error, ValueError):
        content = b""
    packed = content[len(_FORM) : -_CHECK_BYTES]
    n_seen, rest = divmod(len(packed), _BYTES)
    # Decoding passes over what is no letter of it: the text has to be the one that was written.
    if rest or not 0 < n_seen <= MAX_SEEN or _written(packed) != text:
        msg = f"{text[:20]!r} is no cursor: send {START!r}, or `next` of the answer before"
        raise ValueError(msg)
    return tuple(
        int.from_bytes(packed[i : i + _BYTES], "big") for i in range(0, len(packed), _BYTES)
    )


def next_cursor(seen: Sequence[int], shown: NDArray[np.uint64]) -> str | None:
    """Return the cursor behind an answer; None if it would name too many sales.

    Args:
        seen: Short keys of sales that earlier pages showed.
        shown: Keys of the sales of this answer, shape ``(n_shown,)``.
    """
    short_keys: list[int] = (shown >> np.uint64(SEEN_SHIFT)).tolist()
    together = sorted({*seen, *short_keys})
    if len(together) > MAX_SEEN:
        return None
    return _written(b"".join([one.to_bytes(_BYTES, "big") for one in together]))


def _written(packed: bytes) -> str:
    check = blake2b(packed, digest_size=_CHECK_BYTES).digest()
    return urlsafe_b64encode(_FORM + packed + check).rstrip(b"=").decode()


def _is_cursor(text: str) -> str:
    _ = read_cursor(text)
    return text


Cursor = Annotated[str, Field(max_length=MAX_CURSOR), AfterValidator(_is_cursor)]

CURSOR_FIELD: Final[Any] = Field(
    default=None,
    description=f"Asks for pages: `{START}` for the first, then `next` of the answer before, "
    "with the other parameters as they were. No page repeats a sale of an earlier one.",
    examples=[START],
)
NEXT_FIELD: Final[Any] = Field(
    description="With `cursor`: that of the next page; null without, where nothing is left to "
    f"show, and once {MAX_SEEN:,} sales were shown. Where filters of rows, rules or dislikes hide "
    "what is left, it is not null yet: the last page is then an empty one."
)
