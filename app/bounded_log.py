"""Log lines that a caller can cause, at a bounded rate."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from app.observability import get_logger

EVERY_S: Final = 10.0
"""A line of one kind each ten seconds: an alert sees it, and a flood fills no disk."""

MAX_KINDS: Final = 256
"""Beyond, all further kinds share one line: kinds follow from what callers send."""

OTHER: Final = ("other",)


@dataclass(slots=True)
class _Kind:
    next_s: float
    n_left_out: int = 0


@dataclass(slots=True)
class BoundedLog:
    """Write a warning of each kind at most every `EVERY_S`, with how many were left out.

    Attributes:
        name: Name of the logger.
        monotonic_s: A clock that never goes back.
    """

    name: str
    monotonic_s: Callable[[], float] = monotonic
    _kinds: dict[tuple[str, ...], _Kind] = field(default_factory=dict[tuple[str, ...], _Kind])

    def warning(self, event: str, *kind: str, **fields: object) -> None:
        """Write a line, or count it for the next one of its kind.

        Args:
            event: What happened.
            *kind: What tells this kind from others of the same log.
            **fields: What the line says beside.
        """
        now_s = self.monotonic_s()
        seen = self._kinds.get((event, *kind))
        if seen is None:
            key = (event, *kind) if len(self._kinds) < MAX_KINDS else OTHER
            seen = self._kinds.setdefault(key, _Kind(now_s))
        if now_s < seen.next_s:
            seen.n_left_out += 1
            return
        get_logger(self.name).warning(event, **fields, left_out=seen.n_left_out)
        seen.next_s, seen.n_left_out = now_s + EVERY_S, 0
