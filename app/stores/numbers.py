"""Whole numbers of the store, where anything may have been stored by others."""

from app.errors import StoreUnavailableError


def whole_number(value: bytes | str | None, key: str, *, doing: str) -> int:
    """Return a stored whole number, 0 where none is stored.

    Args:
        value: The value.
        key: Where it is stored.
        doing: The operation, for the message of a failure.

    Raises:
        StoreUnavailableError: If the value is anything else.
    """
    try:
        return int(value or 0)
    except ValueError as exc:
        raise damaged(key, f"{value!r:.40}, and no whole number", doing=doing) from exc


def damaged(key: str, what: str, *, doing: str) -> StoreUnavailableError:
    """Return the error for a key that holds something else than this software stored."""
    reason = f"{key} holds {what}: remove it (`redis-cli DEL '{key}'`), it is written anew"
    return StoreUnavailableError(doing, reason)
