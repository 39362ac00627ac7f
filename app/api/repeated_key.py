"""Check for duplicate keys of JSON objects, of which parsers silently take the last value."""

import json
from typing import Final

_SHOWN_CHARS: Final = 64  # chosen: callers decide how long a key is


class _RepeatedKeyError(Exception):
    """A key that was there already; no `ValueError`, which faulty JSON is."""


def repeated_key(content: bytes) -> str | None:
    """Return a key that an object of a JSON text has twice, cut where it is long.

    None is returned for a text that is no JSON, too: `parsed` says what is wrong with it.
    """
    try:
        # Numbers stay text: to make thousands of digits a number takes seconds.
        json.loads(content, object_pairs_hook=_check, parse_int=str, parse_float=str)
    except _RepeatedKeyError as exc:
        return str(exc)[:_SHOWN_CHARS]
    except (ValueError, RecursionError):
        return None
    return None


def _check(pairs: list[tuple[str, object]]) -> None:
    seen = {key for key, _ in pairs}
    if len(seen) < len(pairs):
        for key, _ in pairs:
            if key not in seen:
                raise _RepeatedKeyError(key)
            seen.discard(key)
