"""Headers of a request as ASGI gives them: names in lower case, values in Latin-1."""

from starlette.types import Scope


def header_of(scope: Scope, name: bytes) -> str | None:
    """Return the first header of a name in lower case; None if the request has none.

    `starlette.datastructures.Headers` takes four calls for it, and middlewares read five headers.
    """
    for one, value in scope["headers"]:
        if one == name:
            return value.decode("latin-1")
    return None
