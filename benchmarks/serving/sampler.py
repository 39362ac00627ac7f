"""A worker whose processor time is sampled: a stack for each tick of its own time.

Run as ``python -m benchmarks.serving.sampler FILE serve …``: `python -m app` with the arguments
after FILE. A first SIGUSR1 begins, a second writes the stacks to FILE, each with how often it was
seen. What a call of compiled code took counts for the line that called it.
"""

import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

INTERVAL_S: Final = 0.001
"""Seconds of processor time between two samples; the kernel's own tick may be longer."""

Stack = tuple[str, ...]
"""``file:function`` of each frame, the innermost first."""


class Sampler:
    """Counts stacks between two signals."""

    def __init__(self, target: Path) -> None:
        """Write to a file."""
        self._target = target
        self._seen: Counter[Stack] | None = None

    def sample(self, _signal: int, frame: FrameType | None) -> None:
        """Count the stack that a tick interrupted."""
        found: list[str] = []
        while frame is not None:
            found.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        if self._seen is not None:
            self._seen[tuple(found)] += 1

    def toggle(self, _signal: int, _frame: FrameType | None) -> None:
        """Begin, or end and write."""
        if self._seen is None:
            self._seen = Counter()
            signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
            return
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._target.write_text(json.dumps(list(self._seen.items())), encoding="utf-8")
        self._seen = None


if __name__ == "__main__":
    sampler = Sampler(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGPROF, sampler.sample)
    signal.signal(signal.SIGUSR1, sampler.toggle)
    runpy.run_module("app", run_name="__main__", alter_sys=True)
