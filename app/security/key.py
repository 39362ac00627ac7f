"""API keys: their stored entries (hashes), and the constant-time check."""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, Field, field_validator

PREFIX: Final = "vitrine"
SEPARATOR: Final = "_"
ID_BYTES: Final = 4  # names a key in logs and metrics; no secret
SECRET_BYTES: Final = 32  # 256 bits, beyond any search

KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]


class Scope(StrEnum):
    """The groups of routes that a key opens; `insight` reads those of others."""

    READ = "read"
    EVENTS = "events"
    SALES = "sales"
    CUSTOMERS = "customers"
    METRICS = "metrics"
    INSPECT = "inspect"
    RULES = "rules"
    INSIGHT = "insight"
    ADMIN = "admin"


class KeyEntry(BaseModel, frozen=True, extra="forbid"):
    """Stored entry of a key: its hash, from which the key cannot be derived."""

    # A key is 32 random bytes: there is no dictionary to try, so one fast hash protects it as
    # well as a slow one would, which every request would have to wait for.

    key_id: KeyId
    scopes: tuple[Scope, ...] = Field(min_length=1)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    per_second: int | None = Field(default=None, ge=1)
    note: str = Field(default="", max_length=200)
    created_at: AwareDatetime

    def matches(self, key: str) -> bool:
        """Return whether this is the key, in constant time."""
        return hmac.compare_digest(_digest(key), self.sha256)


class KeyFile(BaseModel, frozen=True, extra="forbid"):
    """All keys of a service, as they stand in its file."""

    keys: tuple[KeyEntry, ...] = ()

    @field_validator("keys")
    @classmethod
    def _each_once(cls, keys: tuple[KeyEntry, ...]) -> tuple[KeyEntry, ...]:
        if len({entry.key_id for entry in keys}) < len(keys):
            msg = "two keys have one key_id"
            raise ValueError(msg)
        return keys


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys by their ids, which are no secret."""

    by_id: Mapping[str, KeyEntry]

    @classmethod
    def from_entries(cls, entries: Iterable[KeyEntry]) -> Self:
        """Index keys."""
        return cls({entry.key_id: entry for entry in entries})

    def recognise(self, key: str) -> KeyEntry | None:
        """Return the entry of a key; None for one that is not, or no longer, valid."""
        _, _, rest = key.partition(SEPARATOR)
        entry = self.by_id.get(rest.partition(SEPARATOR)[0])
        # An unknown id takes as long as a known one: the time shows no caller which ids exist.
        is_right = (entry or _NO_KEY).matches(key)
        return entry if is_right else None


def new_key() -> tuple[str, str]:
    """Return the id and the text of a new key: prefix, id and 32 random bytes."""
    key_id = secrets.token_hex(ID_BYTES)
    return key_id, SEPARATOR.join((PREFIX, key_id, secrets.token_urlsafe(SECRET_BYTES)))


def entry_of(
    key: str,
    key_id: str,
    *,
    scopes: Iterable[Scope],
    created_at: AwareDatetime,
    per_second: int | None = None,
    note: str = "",
) -> KeyEntry:
    """Return the entry of a key."""
    return KeyEntry(
        key_id=key_id,
        scopes=tuple(sorted(set(scopes))),
        sha256=_digest(key),
        per_second=per_second,
        note=note,
        created_at=created_at,
    )


def _digest(key: str) -> str:
    # Headers may hold any bytes: a strict encoding would raise for a caller's nonsense.
    return sha256(key.encode(errors="surrogateescape")).hexdigest()


_NO_KEY: Final = KeyEntry.model_validate(
    {
        "key_id": "0" * 2 * ID_BYTES,
        "scopes": ["read"],
        "sha256": "0" * 64,
        "created_at": "1970-01-01T00:00:00Z",
    }
)
