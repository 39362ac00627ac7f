"""Rate-limited log of warnings that callers can cause."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from app.observability import get_logger

# Between two lines of a kind: enough for an alert, too few to fill a disk. Chosen.
EVERY_S: Final = 10.0
# Callers decide the kinds, so that their number must be bounded: further ones share a line. Chosen.
MAX_KINDS: Final = 256


@dataclass(slots=True)
class _Kind:
    next_s: float = 0.0
    n_left_out: int = 0


@dataclass(slots=True)
class BoundedLog:
    """Logs a warning of each kind at most every `EVERY_S`, with the number left out."""

    name: str
    monotonic_s: Callable[[], float] = monotonic
    _kinds: dict[tuple[str, ...], _Kind] = field(default_factory=dict[tuple[str, ...], _Kind])
    _other: _Kind = field(default_factory=_Kind)

    def warning(self, event: str, *kind: str, **fields: object) -> None:
        """Log a warning, or count it for the next one of its text and kind."""
        now_s = self.monotonic_s()
        key = (event, *kind)
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            # Kinds that may be logged again; the shared line reports what they left out.
            for quiet in [one for one, kind in self._kinds.items() if kind.next_s <= now_s]:
                self._other.n_left_out += self._kinds.pop(quiet).n_left_out
        has_room = key in self._kinds or len(self._kinds) < MAX_KINDS
        seen = self._kinds.setdefault(key, _Kind()) if has_room else self._other
        if now_s < seen.next_s:
            seen.n_left_out += 1
            return
        get_logger(self.name).warning(event, **fields, left_out=seen.n_left_out)
        seen.next_s, seen.n_left_out = now_s + EVERY_S, 0
