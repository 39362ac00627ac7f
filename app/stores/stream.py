"""Streams of accepted events and of answers: read, and trimmed from the front."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from app.errors import StoreUnavailableError
from app.stores.connection import Command, Connection, is_of_another_type
from app.stores.keys import N_PARTITIONS

# Below the id of every entry: the server gives none that is 0-0.
_BEFORE_FIRST: Final = "0-0"

Cursors = Mapping[int, str]
"""Last entry id by partition; a partition that is not in it starts at its first entry."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of all partitions, each partition in its order.

    Attributes:
        names: Stream and id of each entry.
        fields: Fields of each entry.
        cursors: Where they end.
        damaged: Streams that cannot be read, because their keys are of another type.
    """

    names: list[str]
    fields: list[dict[bytes, bytes]]
    cursors: Cursors
    damaged: list[str]


class Streams:
    """The streams of one kind, one a partition, under the names that ``name_of`` returns."""

    def __init__(self, connection: Connection, name_of: Callable[[int], str]) -> None:
        self._connection = connection
        self._names = [name_of(p) for p in range(N_PARTITIONS)]

    async def read(self, cursors: Cursors, *, n_each: int) -> Batch:
        """Read what follows the cursors in each partition, in one round trip.

        Raises:
            StoreUnavailableError: If the store cannot be read.
        """
        commands = [
            ("XRANGE", name, f"({cursors.get(p, _BEFORE_FIRST)}", "+", "COUNT", n_each)
            for p, name in enumerate(self._names)
        ]
        replies = await self._run(commands, doing="reading streams")
        damaged = [name for name, reply in zip(self._names, replies, strict=True) if reply is None]
        parts = [cast("list[tuple[bytes, dict[bytes, bytes]]]", reply or []) for reply in replies]
        ends = {p: part[-1][0].decode() for p, part in enumerate(parts) if part}
        names = [
            f"{name} {entry.decode()}"
            for name, part in zip(self._names, parts, strict=True)
            for entry, _ in part
        ]
        fields = [fields for part in parts for _, fields in part]
        return Batch(names, fields, {**cursors, **ends}, damaged)

    async def forget(self, cursors: Cursors) -> None:
        """Remove all entries up to the cursors, which must be safe elsewhere.

        Raises:
            StoreUnavailableError: If the store refuses.
        """
        commands: list[Command] = []
        for p, entry in cursors.items():
            # MINID keeps the entry that it names: the next possible id leaves none behind.
            milliseconds, sequence = entry.split("-")
            first_kept = f"{milliseconds}-{int(sequence) + 1}"
            commands.append(("XTRIM", self._names[p], "MINID", first_kept))
        await self._run(commands, doing="emptying streams")

    async def _run(self, commands: Sequence[Command], *, doing: str) -> list[object]:
        """Run a command for each of some streams; the reply is None where one is damaged."""
        replies: list[object] = []
        for reply in await self._connection.execute_each(commands, doing=doing):
            is_damaged = is_of_another_type(reply)
            if isinstance(reply, StoreUnavailableError) and not is_damaged:
                raise reply
            replies.append(None if is_damaged else reply)
        return replies
