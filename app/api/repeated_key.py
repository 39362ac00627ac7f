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


def with_marks(content: bytes) -> bytes:
    """Give every object of a JSON text that has a key twice a further key, which no model knows.

    Raises:
        ValueError: If the text is no JSON, or a number of it has thousands of digits.
    """
    return json.dumps(json.loads(content, object_pairs_hook=_marked)).encode()


def _marked(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    try:
        _check(pairs)
    except _RepeatedKeyError as exc:
        value[f"{str(exc)[:_SHOWN_CHARS]} twice"] = None
    return value


def _check(pairs: list[tuple[str, object]]) -> None:
    seen = {key for key, _ in pairs}
    if len(seen) < len(pairs):
        for key, _ in pairs:
            if key not in seen:
                raise _RepeatedKeyError(key)
            seen.discard(key)
