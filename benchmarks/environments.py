"""Environments of peers: each library has its own, installed by hash."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ENVIRONMENTS: Final = Path.home() / ".cache" / "vitrine" / "peers"


def environment(requirements: Path, root: Path) -> Path:
    """Return the Python of a peer's environment, which is made where it is not there yet.

    Args:
        requirements: Its requirements with hashes; the environment has the name of the file.
        root: Where environments are kept.
    """
    python = root / requirements.stem / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "--python", sys.executable, python.parents[1]], check=True)
        subprocess.run(
            [uv, "pip", "install", "--python", python, "--require-hashes", "-r", requirements],
            check=True,
        )
    return python
