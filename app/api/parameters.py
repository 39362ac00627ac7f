"""URL parameters: integers in plain digits, and single-valued parameters at most once."""

import re
from collections import Counter
from typing import Final

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator

LISTS: Final = frozenset({"exclude", "fields", "variant"})
"""Parameters that may be repeated, a value each."""

_DIGITS: Final = re.compile(r"-?[0-9]+")


def _in_digits(value: object) -> object:
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        msg = "write a whole number in digits"
        raise ValueError(msg)
    return value


# Like 10, and not ``1_0``, ``10.0`` or `` 10``, which Python reads as well.
DIGITS: Final = BeforeValidator(_in_digits)


def refuse_repeated(request: Request) -> None:
    """Refuse parameters that are no lists and are given twice.

    Raises:
        RequestValidationError: Names each of them.
    """
    if b"&" not in request.scope["query_string"]:
        return
    n_given = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, n in n_given.items() if n > 1 and name not in LISTS]
    if repeated:
        raise RequestValidationError(
            [
                {"loc": ("query", name), "msg": f"given {n_given[name]} times: give it once"}
                for name in repeated
            ]
        )


async def _each_once(request: Request) -> None:
    refuse_repeated(request)


EACH_ONCE: Final = Depends(_each_once)
"""See `refuse_repeated`; every route with a query has it, or is a `DirectRoute`."""
