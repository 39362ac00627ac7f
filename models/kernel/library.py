"""The compiled kernel: a shared library beside this file, built from C by a compiler.

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
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROWS_AT_ONCE: Final = 256
"""Rows of a block: their columns stay in the second-level cache (62 KB of 62 columns)."""

MAX_EVENTS: Final = 128
"""Events of a window at most, and its impressions: as in ``models.domain``."""

MAX_BOUGHT: Final = 256
"""Sales of a purchase history at most: as in ``models.domain``."""

FOLDER: Final = Path(__file__).parent
SOURCES: Final = tuple(
    FOLDER / name
    for name in (
        *("customer.h", "history.c", "features.c", "forest.c", "logistic.c", "hash.c"),
        "first_stage.c",
    )
)
# Sums are rounded as written, on every processor: no fused multiply-add, no other order.
FLAGS: Final = (
    *("-O3", "-std=c11", "-ffp-contract=off", "-fPIC", "-shared"),
    *(f"-DROWS_AT_ONCE={ROWS_AT_ONCE}", f"-DMAX_EVENTS={MAX_EVENTS}"),
    f"-DMAX_BOUGHT={MAX_BOUGHT}",
)


class BuildError(OSError):
    """The library cannot be built."""


def library_path() -> Path:
    """Return where the library of these sources and this machine is, built or not."""
    machine = (platform.system(), platform.machine())
    content = b"".join(source.read_bytes() for source in SOURCES)
    content += " ".join((*FLAGS, *machine)).encode()
    return FOLDER / f"kernel-{blake2b(content, digest_size=8).hexdigest()}.so"


def build() -> Path:
    """Compile the library, unless it is there, and return its path.

    Raises:
        BuildError: If there is no C compiler, it fails, or the folder cannot be written.
    """
    path = library_path()
    if path.exists():
        return path
    command = compiler()
    # Moved into place, so that no process loads a part of it, also where several build it.
    made = path.with_suffix(f".{os.getpid()}.new")
    sources = [source for source in SOURCES if source.suffix == ".c"]
    try:
        subprocess.run([*command, *FLAGS, "-o", made, *sources, "-lm"], check=True)  # noqa: S603 - our own source
        return made.replace(path)
    except (OSError, subprocess.CalledProcessError) as exc:
        msg = f"{' '.join(command)} cannot compile the kernel, which needs the headers of C: {exc}"
        raise BuildError(msg) from exc


def compiler() -> list[str]:
    """Return the command of the C compiler: ``cc``, or else that of the package ``ziglang``.

    Raises:
        BuildError: If neither is installed.
    """
    found = shutil.which("cc")
    if found is not None:
        return [found]
    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    msg = (
        "no C compiler is installed, which the kernel of scoring is built by: install gcc and the "
        "headers of C (libc6-dev), or the package ziglang"
    )
    raise BuildError(msg)


@cache
def kernel() -> ctypes.PyDLL:
    """Return the library of this process; build it if it is not there.

    Raises:
        BuildError: See `build`.
    """
    return load(build())


def load(path: Path) -> ctypes.PyDLL:
    """Load a library and declare its functions.

    Raises:
        OSError: If there is none, or it is not for this machine.
    """
    # It keeps the GIL: to get that back from a thread that computes takes up to 5 ms.
    library = ctypes.PyDLL(str(path))
    pointer, count, long = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
    library.add_leaves.argtypes = [
        *(pointer, pointer, pointer),
        *(pointer, count, pointer, count),
        *(pointer, long, count, pointer),
        *(pointer, pointer),
    ]
    library.sum_look_alikes.argtypes = [
        *(pointer, pointer, pointer, long),
        *(pointer, long, pointer),
    ]
    library.join.argtypes = [pointer, pointer, pointer, pointer, long]
    library.compute.argtypes = [
        *(pointer, pointer, pointer),
        *(pointer, pointer, long, pointer, long),
        *(pointer, pointer, pointer, pointer),
    ]
    library.hash.argtypes = [pointer, long, pointer]
    real = ctypes.c_double
    library.standardise.argtypes = [
        *(pointer, pointer, long, long, real),
        *(pointer, pointer, pointer),
    ]
    library.log_odds.argtypes = [pointer, long, pointer, long, long, real, pointer, pointer]
    single = ctypes.c_float
    library.estimate.argtypes = [
        *(pointer, long, pointer, pointer),
        *(pointer, single, pointer, pointer),
        *(long, pointer),
    ]
    for name in (
        *("add_leaves", "join", "sum_look_alikes", "standardise", "log_odds", "hash"),
        "estimate",
    ):
        getattr(library, name).restype = None
    return library


if __name__ == "__main__":
    try:
        build()
    except BuildError as exc:
        sys.exit(str(exc))
