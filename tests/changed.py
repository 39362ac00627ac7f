"""Tests of what changed since a commit, found by the mirrored path: ``python -m tests.changed``.

The tests of the repository's rules are always among them.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.proofs import ROOT

PACKAGES: Final = ("app", "models", "training")
UNIT: Final = Path("tests/unit")


def find_unit_tests(changed: Iterable[Path], root: Path) -> list[Path]:
    """Return the unit tests of changed files, relative to ``root`` and sorted.

    A module without a test of its own name is tested by the nearest folder that mirrors its own.

    Args:
        changed: Paths relative to ``root``; other files than Python modules are ignored.
        root: The root of the repository.
    """
    found = {path.relative_to(root) for path in (root / UNIT).glob("test_*.py")}
    for path in changed:
        if path.suffix != ".py":
            continue
        if path.parts[0] in PACKAGES:
            mirrored = UNIT / path.parent / f"test_{path.stem.strip('_')}.py"
        elif path.is_relative_to(UNIT):
            mirrored = path
        else:
            continue
        is_test = mirrored.name.startswith("test_") and (root / mirrored).is_file()
        found.add(mirrored if is_test else _nearest(mirrored.parent, root))
    return sorted(path for path in found if not found.intersection(path.parents))


def _nearest(folder: Path, root: Path) -> Path:
    while not (root / folder).is_dir():
        folder = folder.parent
    return folder


def changed_since(commit: str) -> list[Path]:
    """Return files that differ from the last common ancestor, those not committed among them."""
    base = _git("merge-base", "HEAD", commit)
    return [
        Path(name)
        for command in (
            ("diff", "--name-only", *base),
            ("ls-files", "--others", "--exclude-standard"),
        )
        for name in _git(*command)
    ]


def _git(*words: str) -> list[str]:
    command = ["git", *words]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return run.stdout.splitlines()


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(str, find_unit_tests(changed_since(sys.argv[1]), ROOT))) + "\n")
