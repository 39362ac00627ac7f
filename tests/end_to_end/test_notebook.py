"""The notebook of the manual runs from its first cell to its last."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proofs import ROOT

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "docs" / "tour.ipynb"


def test_the_tour_ends_with_a_list_that_is_explained(tmp_path: Path) -> None:
    """As a program: each cell's code, without the display of its last value."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    program = tmp_path / "tour.py"
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    program.write_text("\n\n".join(code), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, program],
        cwd=NOTEBOOK.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    bundle, ranked = done.stdout.index("objective: purchase"), done.stdout.index("ranks better")
    assert bundle < ranked < done.stdout.index("Opened by customers")
