"""Effect of a change: its unit tests, and the files whose types depend on it.

``python -m tests.changed tests|types COMMIT`` prints paths for `make quick`.
"""

import ast
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.proofs import ROOT

PACKAGES: Final = ("app", "models", "training")
CHECKED: Final = (*PACKAGES, "tests", "benchmarks", "deploy")
UNIT: Final = Path("tests/unit")


def find_unit_tests(changed: Iterable[Path], root: Path) -> list[Path]:
    """Return the unit tests of changed files by the mirrored path, and those of the rules.

    A module without a test of its own name is tested by the nearest folder that mirrors its own.

    Args:
        changed: Paths relative to ``root``; other files than Python modules are ignored.
        root: The root of the repository.

    Returns:
        Paths of files and folders relative to ``root``, sorted.
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


def find_dependants(changed: Iterable[Path], root: Path) -> list[Path]:
    """Return changed Python files and those that import them, as themselves or by a package.

    Importers of importers are left out: what functions return is annotated, so that an error
    of types shows where a changed name is used.

    Args:
        changed: Paths relative to ``root``, of files that were deleted too.
        root: The root of the repository.

    Returns:
        Paths of existing files relative to ``root``, sorted.
    """
    files = [path.relative_to(root) for name in CHECKED for path in (root / name).rglob("*.py")]
    imports = {path: set(_imports((root / path).read_text(encoding="utf-8"))) for path in files}
    found = {path for path in changed if path.suffix == ".py"}
    names = {_module(path) for path in found}
    while names:
        importers = {path for path in files if imports[path] & names} - found
        found |= importers
        names = {_module(path) for path in importers if path.name == "__init__.py"}
    return sorted(found.intersection(files))


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def changed_since(commit: str) -> Collection[Path]:
    """Return files that differ from the common ancestor, those not committed among them."""
    (base,) = _git("merge-base", "HEAD", commit)
    names = _git("diff", "--name-only", base) + _git("ls-files", "--others", "--exclude-standard")
    return [Path(name) for name in names]


def _git(*words: str) -> list[str]:
    command = ["git", *words]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return run.stdout.splitlines()


if __name__ == "__main__":
    find = {"tests": find_unit_tests, "types": find_dependants}[sys.argv[1]]
    sys.stdout.writelines(f"{path}\n" for path in find(changed_since(sys.argv[2]), ROOT))
