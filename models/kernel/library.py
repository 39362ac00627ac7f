"""The compiled kernel: a shared library beside this file, built from `forest.c` by a C compiler.

``python -m models.kernel.library`` builds it. Its name holds the hash of what it was built from and
for, so that no other one is loaded. The standard library alone is imported: images build it first.
"""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

ROWS_AT_ONCE: Final = 256
"""Rows of a block: their columns stay in the second-level cache (62 KB of 62 columns)."""

SOURCE: Final = Path(__file__).with_name("forest.c")
# Sums are rounded as written, on every processor: no fused multiply-add, no other order.
FLAGS: Final = (
    *("-O3", "-std=c11", "-ffp-contract=off", "-fPIC", "-shared"),
    f"-DROWS_AT_ONCE={ROWS_AT_ONCE}",
)


class BuildError(Exception):
    """The library cannot be built; LightGBM evaluates the trees."""


def library_path() -> Path:
    """Return where the library of this source and machine is, built or not."""
    machine = (platform.system(), platform.machine())
    content = SOURCE.read_bytes() + " ".join((*FLAGS, *machine)).encode()
    return SOURCE.with_name(f"forest-{blake2b(content, digest_size=8).hexdigest()}.so")


def build() -> Path:
    """Compile the library, unless it is there, and return its path.

    Raises:
        BuildError: If there is no C compiler, it fails, or the folder cannot be written.
    """
    path = library_path()
    if path.exists():
        return path
    compiler = shutil.which("cc")
    if compiler is None:
        msg = "no C compiler (`cc`) is installed"
        raise BuildError(msg)
    # Moved into place, so that no process loads a part of it, also where several build it.
    made = path.with_suffix(f".{os.getpid()}.new")
    try:
        subprocess.run([compiler, *FLAGS, "-o", made, SOURCE], check=True)  # noqa: S603 - our own source
        return made.replace(path)
    except (OSError, subprocess.CalledProcessError) as exc:
        msg = f"{compiler} cannot compile {SOURCE.name} ({exc})"
        raise BuildError(msg) from exc


@cache
def kernel() -> ctypes.CDLL | None:
    """Return the library of this process; None if it is not built, or not for this machine."""
    try:
        return load(library_path())
    except OSError:
        return None


def load(path: Path) -> ctypes.CDLL:
    """Load a library and declare its functions.

    Raises:
        OSError: If there is none, or it is not for this machine.
    """
    # It keeps the GIL: to get that back from a thread that computes takes up to 5 ms.
    library = ctypes.PyDLL(str(path))
    pointer, count = ctypes.c_void_p, ctypes.c_int32
    library.add_leaves.restype = None
    library.add_leaves.argtypes = [
        *(pointer, pointer, pointer),
        *(pointer, count, pointer, count),
        *(pointer, ctypes.c_int64, count, pointer),
        *(pointer, pointer),
    ]
    return library


if __name__ == "__main__":
    try:
        build()
    except BuildError as exc:
        sys.stderr.write(
            f"{exc}: LightGBM will evaluate the trees, with the same results, in ten times the "
            "time. Install gcc and the headers of C (libc6-dev), and run `python -m "
            "models.kernel.library`.\n"
        )
