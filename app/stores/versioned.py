"""Versioned documents in Redis or Valkey: a hash with JSON and its version, and lists of JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from app.bounded_log import BoundedLog
from app.stores.connection import Connection
from app.stores.numbers import whole_number
from models.domain.errors import reason_for

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

_log = BoundedLog(__name__)


@dataclass(frozen=True, slots=True)
class VersionedDocument(Generic[M]):
    """Reader of one hash with the fields ``version`` and ``json``.

    Attributes:
        connection: The store.
        key: Key of the hash.
        model: Class of the document.
        name: What errors call it.
    """

    connection: Connection
    key: str
    model: type[M]
    name: str

    async def version(self) -> int:
        """Return its version, 0 where there is none."""
        doing = f"reading the {self.name}"
        reply = await self.connection.execute("HGET", self.key, "version", doing=doing)
        return whole_number(cast("bytes | None", reply), self.key, doing=doing)

    async def read(self) -> tuple[int, M] | None:
        """Return its version and the document, None where there is none.

        Raises:
            ValueError: If what is stored is none of this software.
        """
        doing = f"reading the {self.name}"
        reply = await self.connection.execute("HMGET", self.key, "version", "json", doing=doing)
        version, content = cast("list[bytes | None]", reply)
        if version is None or content is None:
            return None
        number = whole_number(version, self.key, doing=doing)
        try:
            return number, self.model.model_validate_json(content)
        except ValidationError as exc:
            what = f"the stored {self.name}, version {number}"
            msg = f"{what}, is none of this software: {reason_for(exc)}"
            raise ValueError(msg) from exc


async def readable_entries(
    connection: Connection, key: str, *, parse: Callable[[bytes], T], limit: int, name: str
) -> list[T]:
    """Return the first entries of a list of JSON documents.

    Those that cannot be read, as of another version of this software, are left out and logged.

    Args:
        connection: The store.
        key: Key of the list.
        parse: Returns the document of an entry, or raises `ValidationError`.
        limit: How many entries to read.
        name: What the log calls one.
    """
    reply = await connection.execute("LRANGE", key, 0, limit - 1, doing=f"reading each {name}")
    entries: list[T] = []
    for entry in cast("list[bytes]", reply):
        try:
            entries.append(parse(entry))
        except ValidationError as exc:
            _log.warning(f"a {name} is left out: unreadable", reason=reason_for(exc))
    return entries
