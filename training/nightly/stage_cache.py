"""Stage cache: results of the stages of a nightly run, by the hash of their inputs."""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import JsonValue, TypeAdapter, ValidationError

from models.arrays.atomic_file import write_file
from models.domain.errors import UserError

_RECORD: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class BusyError(UserError):
    """Another run works in the same directory."""


class StageCache:
    """Outputs of stages in a directory, one file each.

    A file's name holds a hash of everything that the stage depends on, so that no output is
    taken for that of other data, another configuration or another champion. A file is there
    whole or not at all, and stays there after a power cut.
    """

    def __init__(self, directory: Path) -> None:
        """Keep outputs in a directory, which is made if absent."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def once(
        self,
        stage: str,
        inputs: Mapping[str, JsonValue],
        *,
        work: Callable[[], dict[str, JsonValue]],
        holds: Callable[[Mapping[str, JsonValue]], bool] = lambda _: True,
    ) -> dict[str, JsonValue]:
        """Return what a stage came to, and do its work only if it is not cached.

        A damaged output counts as none.

        Args:
            stage: Name of the stage.
            inputs: All that its output depends on.
            work: Does it.
            holds: Tells whether what an output names is still there.
        """
        # 64 bits: two different nights of one directory never share a name.
        key = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
        path = self._directory / f"{stage}-{key}.json"
        with suppress(FileNotFoundError, ValidationError):
            kept = _RECORD.validate_json(path.read_bytes())
            if holds(kept):
                return kept
        output = work()
        write_file(path, json.dumps(output, indent=1, allow_nan=False).encode())
        return output

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep other runs out; the lock goes with the process, however it ends.

        Raises:
            BusyError: If another run holds it.
        """
        try:
            with FileLock(self._directory / ".lock", blocking=False):
                yield
        except Timeout as exc:
            msg = f"another run works in {self._directory}: wait for its end"
            raise BusyError(msg) from exc
