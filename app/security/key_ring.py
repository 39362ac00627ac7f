"""Key ring: the API keys of a running service, reloaded from their file."""

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import ValidationError

from app.observability import audit_log, get_logger
from app.security.key import KeyEntry, KeyFile, Keys
from models.arrays.atomic_file import write_file
from models.arrays.document import RepeatedKeyError, read_json
from models.domain.errors import UserError

# A revoked key is refused within a second; a look is one `stat`.
LOOK_EVERY_S: Final = 1.0

_log = get_logger(__name__)


class KeyFileError(UserError):
    """A file of keys that cannot be read; the message says what to do."""


def read_keys(path: Path) -> KeyFile:
    """Read a file of keys.

    Raises:
        KeyFileError: If it is missing, unreadable or malformed.
    """
    try:
        content = path.read_bytes()
        keys = KeyFile.model_validate_json(content)
        read_json(content)  # which refuses a key of an object that is there twice
    except OSError as exc:
        msg = f"the keys {path} are not read: {exc.strerror}; `python -m app keys new` writes them"
        raise KeyFileError(msg) from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        msg = f"the keys {path} are malformed: {where}: {first['msg']}"
        raise KeyFileError(msg) from exc
    except RepeatedKeyError as exc:
        msg = f"the keys {path} are malformed: {exc}"
        raise KeyFileError(msg) from exc
    return keys


def write_keys(path: Path, keys: KeyFile) -> None:
    """Write a file of keys, atomically, readable by its owner only.

    A file that is replaced keeps its group's rights and, if root writes it, its owner: otherwise
    the service could not read its keys any more.
    """
    content = keys.model_dump_json(indent=1, exclude_defaults=True) + "\n"
    before = path.stat() if path.exists() else None
    mode = 0o600 if before is None else 0o600 | before.st_mode & 0o060
    write_file(path, content.encode(), mode=mode)
    if before is not None and os.geteuid() == 0:
        os.chown(path, before.st_uid, before.st_gid)


@contextmanager
def changing_keys(path: Path) -> Generator[None]:
    """Hold the file of keys: of two changes at once the later would undo the earlier.

    Raises:
        OSError: If its directory cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


@dataclass(slots=True)
class KeyRing:
    """The keys of a running service, followed by a background task.

    While the file is unreadable, the keys read last stay valid, and each look tries to read it.
    """

    path: Path
    _keys: Keys = field(init=False)
    _seen: tuple[int, ...] | None = field(init=False)
    _failure: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Read the file.

        Raises:
            KeyFileError: See `read_keys`.
        """
        # State before content: a change in between is read at the next look.
        self._seen = _state(self.path)
        self._keys = Keys.from_entries(read_keys(self.path).keys)

    def recognise(self, key: str) -> KeyEntry | None:
        """Return the entry of a key; None for one that is not, or no longer, valid."""
        return self._keys.recognise(key)

    async def follow(self) -> None:
        """Read the file if it changed, or could not be read before.

        Not at requests: a key that was revoked while there were none would count again if the file
        broke before the next one.
        """
        await asyncio.to_thread(self._look)

    def _look(self) -> None:
        seen = _state(self.path)
        if seen == self._seen and self._failure is None:
            return
        self._seen = seen
        try:
            before, self._keys = self._keys.by_id, Keys.from_entries(read_keys(self.path).keys)
            self._failure = None
            if self._keys.by_id != before:
                audit_log().info(
                    "keys changed",
                    added=sorted(self._keys.by_id.keys() - before.keys()),
                    revoked=sorted(before.keys() - self._keys.by_id.keys()),
                    changed=sorted(
                        key_id
                        for key_id, entry in before.items()
                        if self._keys.by_id.get(key_id, entry) != entry
                    ),
                )
        except KeyFileError as exc:
            if str(exc) != self._failure:
                _log.error(
                    "the file of keys is unreadable: the keys read last stay valid", reason=str(exc)
                )
            self._failure = str(exc)


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
