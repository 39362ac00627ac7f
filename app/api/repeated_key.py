"""Check for duplicate keys of JSON objects, of which parsers silently take the last value."""

import json
from typing import Final

from models.arrays.document import RepeatedKeyError, each_key_once

_SHOWN_CHARS: Final = 64  # chosen: callers decide how long a key is


def repeated_key(content: bytes) -> str | None:
    """Return a key that an object of a JSON text has twice, cut where it is long.

    None is returned for a text that is no JSON, too: `parsed` says what is wrong with it.
    """
    try:
        # Numbers stay text: to make thousands of digits a number takes seconds.
        json.loads(content, object_pairs_hook=each_key_once, parse_int=str, parse_float=str)
    except RepeatedKeyError as exc:
        return exc.key[:_SHOWN_CHARS]
    except (ValueError, RecursionError):
        return None
    return None


def with_marks(content: bytes) -> bytes:
    """Give every object of a JSON text that has a key twice a further key, which no model knows.

    Raises:
        ValueError: If the text is no JSON, or a number of it has thousands of digits.
    """
    return json.dumps(json.loads(content, object_pairs_hook=_marked)).encode()


def _marked(pairs: list[tuple[str, object]]) -> dict[str, object]:
    try:
        return each_key_once(pairs)
    except RepeatedKeyError as exc:
        return dict(pairs) | {f"{exc.key[:_SHOWN_CHARS]} twice": None}
