"""Base class of errors that the user of a command can fix.

A command prints the message and ends with status 1; any other exception is a bug and keeps its
traceback.
"""

from pydantic import ValidationError


class UserError(Exception):
    """An error in a file, an option or the state of the shop, which the user can fix.

    The message says what happened, where, and what to do.
    """


def plain_message(message: str) -> str:
    """Return a message of pydantic's without its words for an error of our own, and for Python's.

    What callers send are lists.
    """
    return message.removeprefix("Value error, ").replace("Tuple should", "List should")


def reason_for(exc: Exception) -> str:
    """Return the reason why a document is refused, on one line."""
    if not isinstance(exc, ValidationError):
        return str(exc)
    # Without the input, which may be a file of any length.
    faults = exc.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        ": ".join(
            [
                *([".".join(map(str, one["loc"]))] if one["loc"] else []),
                _reason(one["type"], one["msg"]),
            ]
        )
        for one in faults
    )


def _reason(kind: str, message: str) -> str:
    return "there is no such key" if kind == "extra_forbidden" else plain_message(message)
