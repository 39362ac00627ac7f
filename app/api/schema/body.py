"""Strict parsing of request bodies: a number is not a time, and a string is not a price.

Parsing takes bounded time and memory for any body up to the size limit.
"""

import re
from contextlib import suppress
from typing import Any, Final, TypeVar, Unpack

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.config import JsonDict

from app.api.repeated_key import repeated_key, with_marks
from app.api.schema.shape import MAX_VALUES, Fault, shape_faults
from app.errors import BodyTypeError
from models.domain.errors import plain_message

JSON: Final = "application/json"
MAX_FAULTS: Final = 100  # chosen: enough to mend a body, and an answer of bounded size

# .NET writes it in front of UTF-8.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# Escapes of a JSON text: a pair of surrogates, half of one, or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
# Refused in every id, which half a character is too.
_NUL: Final = rb"\u0000"

Model = TypeVar("Model", bound=BaseModel)


def read(
    model: type[Model], content: bytes, *, most: int = MAX_FAULTS, judges_parts: bool = False
) -> Model | list[Fault]:
    """Parse JSON, or return its first faults; see `shape_faults`.

    An object that has a key twice is a fault: which value was meant is not known. Where parts are
    judged, this and half a character are faults of their part, and of the whole otherwise.
    """
    content = content.removeprefix(_BYTE_ORDER_MARK)
    # Fewer escapes than values are allowed: the substitution calls back for each.
    if _SURROGATE.search(content) and content.count(b"\\") <= MAX_VALUES:
        if judges_parts:
            content = _ESCAPE.sub(lambda one: _NUL if one["half"] else one[0], content)
        elif (half := _half_a_character(content)) is not None:
            return [half]
    faults = shape_faults(model, content, most=most, judges_parts=judges_parts)
    if faults:
        return faults
    try:
        found = model.model_validate_json(content, strict=True)
    except ValidationError as exc:
        return _faults(exc)[:most]
    # Last, and of valid bodies alone: it parses the text once more, in Python.
    key = repeated_key(content)
    if key is None:
        return found
    if judges_parts:
        with suppress(ValueError):
            return model.model_validate_json(with_marks(content), strict=True)
    return [Fault((), f"an object has the key {key!r} twice")]


def _faults(exc: ValidationError) -> list[Fault]:
    """Return the faults without lists that are too short only as their wrong items do not count."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    parents = {one["loc"][:n] for one in errors for n in range(len(one["loc"]))}
    own = [one for one in errors if one["type"] != "too_short" or one["loc"] not in parents]
    return [Fault(error["loc"], plain_message(error["msg"])) for error in own]


def _half_a_character(content: bytes) -> Fault | None:
    """Return the fault of the first half of a surrogate pair, with its place; None for none."""
    for one in _ESCAPE.finditer(content):
        if one["half"]:
            at = one.start()
            line = content.count(b"\n", 0, at) + 1
            column = at - content.rfind(b"\n", 0, at)
            what = f"{one[0].decode()} is half a character (a surrogate without its pair)"
            return Fault((), f"{what} at line {line} column {column}: send text as it was")
    return None


def parsed(model: type[Model], content: bytes, *, judges_parts: bool = False) -> Model:
    """Parse a JSON body; see `shape_faults`.

    Raises:
        RequestValidationError: If it is malformed, with its first faults and their places.
    """
    found = read(model, content, judges_parts=judges_parts)
    if isinstance(found, list):
        raise RequestValidationError(
            [{"loc": ("body", *fault.where), "msg": fault.what} for fault in found]
        )
    return found


def media_type_of(request: Request) -> str:
    """Return the media type of a body without its parameters, in lower case; empty for none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def content_of(request: Request, media_type: str) -> bytes:
    """Return a body of this media type.

    A browser lets any web page post a body that says another type, or none, without asking first.

    Raises:
        BodyTypeError: If it is of another one; it is not read then.
    """
    given = media_type_of(request)
    if given != media_type:
        raise BodyTypeError(given, media_type)
    return await request.body()


def example(value: JsonDict, **config: Unpack[ConfigDict]) -> ConfigDict:
    """Configure an immutable model with its example for OpenAPI."""
    return {"frozen": True, "json_schema_extra": {"examples": [value]}, **config}


def body_of(model: type[Model], *, judges_parts: bool = False) -> Any:  # noqa: ANN401 - as `Depends`
    """Return the dependency that parses a route's body; see `parsed`."""

    async def read_body(request: Request) -> Model:
        return parsed(model, await content_of(request, JSON), judges_parts=judges_parts)

    return Depends(read_body)


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that a route parses itself for OpenAPI."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}
