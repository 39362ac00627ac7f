"""A night in a process of its own, which kills itself in the middle: ``python -m`` this module."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from models.domain.units import HOUR_US
from tests.proofs import ROOT
from tests.worlds import END_US, Silent
from training.configuration import RunConfig
from training.nightly.night import Night
from training.nightly.run import run_night

JUDGE_HOURS: Final = 72


class KilledAt(Silent):
    """Kills its process, as the kernel would, in a stage after some ticks."""

    def __init__(self, stage: str, n_ticks: int) -> None:
        self._stage, self._n_ticks = stage, n_ticks
        self._now, self._left = "", 0

    def stage(self, name: str, total: int | None = None) -> None:
        """Note which stage runs."""
        del total
        self._now, self._left = name, self._n_ticks
        self._kill_when_due()

    def tick(self) -> None:
        """Note that the stage moved on."""
        self._left -= 1
        self._kill_when_due()

    def _kill_when_due(self) -> None:
        if self._now == self._stage and self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def night_in(root: Path, data: Path, *, cache: Path, config: RunConfig | None = None) -> Night:
    """Describe a night whose outputs lie below one folder."""
    return Night(
        data=data,
        bundles=root / "bundles",
        profiles=root / "profiles",
        state=root / "state",
        cache=cache,
        scenes=None,
        champion=None,
        config=config or RunConfig(),
        evaluation_us=JUDGE_HOURS * HOUR_US,
        now_us=END_US + 7 * 24 * HOUR_US,
        max_fault_share=0.01,
        seed=0,
    )


def killed_night(root: Path, data: Path, *, cache: Path, stage: str, n_ticks: int) -> int:
    """Run a night that is killed, and return how its process ended."""
    asked = {
        "root": str(root),
        "data": str(data),
        "cache": str(cache),
        "stage": stage,
        "n_ticks": n_ticks,
    }
    command = [sys.executable, "-m", __name__, json.dumps(asked)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=600).returncode


def main() -> None:
    """Run as the argument says."""
    asked = json.loads(sys.argv[1])
    root, data, cache = (Path(asked[name]) for name in ("root", "data", "cache"))
    # By parts and a worker, which change no byte.
    night = replace(night_in(root, data, cache=cache), processes=1, n_parts=3)
    run_night(night, progress=KilledAt(asked["stage"], asked["n_ticks"]))


if __name__ == "__main__":
    main()
