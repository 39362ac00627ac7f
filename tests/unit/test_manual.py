"""The manual is built from `docs/` without a warning: no page and no heading is linked in vain."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proofs import ROOT


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("manual")
    strict = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet")
    command = [sys.executable, "-m", "sphinx", *strict, str(ROOT / "docs"), str(out)]
    built = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return out


def test_every_page_is_in_the_navigation_or_a_decision(manual: Path) -> None:
    index = (manual / "index.html").read_text(encoding="utf-8")

    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}

    assert {name for name in pages if f'href="{name}.html"' not in index} == set()


def test_a_reader_loads_nothing_from_elsewhere(manual: Path) -> None:
    loads = re.compile(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*"')

    found = {hit for path in manual.rglob("*.html") for hit in loads.findall(path.read_text())}

    assert found == set()
