"""Checks of the shape of a JSON body, before its fields are validated.

Pydantic makes an object of every fault: without these checks, validating a hostile body of 4 MiB
took half a minute and 4 GB.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson
from pydantic import BaseModel, JsonValue

# A batch of 1,000 events has 13,000; reading as many takes 20 ms.
MAX_VALUES: Final = 50_000
MAX_KEY: Final = 64  # chosen: a fault quotes no more of a caller's key

_SEPARATORS: Final = (b",", b"[", b"{")

Schema = dict[str, Any]


class Fault(NamedTuple):
    """One fault of a body, and the keys and positions that lead to it; a long key is cut."""

    where: tuple[str | int, ...]
    what: str


def shape_faults(
    model: type[BaseModel], content: bytes, *, most: int, judges_parts: bool
) -> list[Fault]:
    """Return at most `most` faults of a body's shape; a body without any may still be invalid.

    Looks at the number of values, then at unknown fields and at the lengths of lists and of
    objects, as the model declares them. A model that `judges_parts` reports faults of the models
    within it one by one, so that a fault of one does not refuse the whole body.
    """
    # Each value of a list or an object follows one of these; those within strings count as well.
    n_values = sum(map(content.count, _SEPARATORS))
    if n_values > MAX_VALUES:
        return [Fault((), f"more than {MAX_VALUES} values: send less at once")]
    if n_values <= most:
        return []  # validation finds hardly more faults than there are values
    try:
        value = orjson.loads(content)
    except ValueError:
        return []  # validation says what is wrong, and where
    schema, definitions = _schema(model)
    known = {} if judges_parts else definitions
    return list(islice(_faults(schema, value, definitions=known, where=()), most))


# Made once: it is the same for every body.
@cache
def _schema(model: type[BaseModel]) -> tuple[Schema, Schema]:
    schema = model.model_json_schema()
    return schema, schema.get("$defs", {})


def _faults(
    schema: Schema, value: JsonValue, *, definitions: Schema, where: tuple[str | int, ...]
) -> Iterator[Fault]:
    if isinstance(value, list):
        for one in _alternatives(schema, "array", definitions):
            most = one.get("maxItems", MAX_VALUES)
            if len(value) > most:
                yield Fault(where, f"{len(value)} items: at most {most} are allowed")
                continue
            items = one.get("items", {})
            for index, item in enumerate(value):
                yield from _faults(items, item, definitions=definitions, where=(*where, index))
    elif isinstance(value, dict):
        alternatives = list(_alternatives(schema, "object", definitions))
        yield from _object_faults(alternatives, value, definitions=definitions, where=where)


def _alternatives(schema: Schema, kind: str, definitions: Schema) -> Iterator[Schema]:
    """Yield the schemas of one kind that a value may have."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _alternatives(definitions.get(name, {}), kind, definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(key, ()):
            yield from _alternatives(one, kind, definitions)
    if schema.get("type") == kind:
        yield schema


def _object_faults(
    alternatives: list[Schema],
    value: dict[str, JsonValue],
    *,
    definitions: Schema,
    where: tuple[str | int, ...],
) -> Iterator[Fault]:
    most = max((one.get("maxProperties", MAX_VALUES) for one in alternatives), default=MAX_VALUES)
    if len(value) > most:
        yield Fault(where, f"{len(value)} fields: at most {most} are allowed")
        return
    known = {key: one for each in alternatives for key, one in each.get("properties", {}).items()}
    # Names with a pattern have it in place of `additionalProperties`.
    unnamed = (
        each.get("patternProperties", {"": each.get("additionalProperties", {})})
        for each in alternatives
    )
    others = [other for each in unnamed for other in each.values()]
    is_closed = bool(others) and not any(other is not False for other in others)
    schemas: list[Schema] = [other for other in others if isinstance(other, dict)]
    for key, one in value.items():
        place = (*where, key if len(key) <= MAX_KEY else f"{key[:MAX_KEY]}…")
        if is_closed and key not in known:
            yield Fault(place, "Extra inputs are not permitted")
        for schema in [known[key]] if key in known else schemas:
            yield from _faults(schema, one, definitions=definitions, where=place)
