"""Calls of the documentation, as a reader copies them, against a running service."""

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, serving_shop, shop_settings
from tests.proofs import ROOT

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# In the order in which a reader meets them; those of `operations.md` need a clock of the past.
PAGES = ("README.md", "docs/website.md", "docs/dataset.md", "docs/rules.md")
ADDRESS = re.compile(r"(?:http://)?(?:127\.0\.0\.1|localhost):8000")
# These are run by tests of their own: they take minutes, run on, or need a file of the reader's.
ELSEWHERE = ("import table", "train ", "evaluate", "serve", "nightly", "promotion")


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


CALLS = [(page, block) for page in PAGES for block in blocks(page) if "curl " in block]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documented")


@pytest.fixture(scope="module")
def own(folder: Path, tiny_bundle: tuple[Path, Path]) -> dict[str, str]:
    return shop_settings(folder, tiny_bundle[0])


@pytest.fixture(scope="module")
def service(folder: Path, tiny_bundle: tuple[Path, Path]) -> Generator[Service]:
    with serving_shop(folder, tiny_bundle) as service:
        yield service


def command_lines() -> list[str]:
    """Commands of the README on a reader's own data, without comments."""
    (block,) = (block for block in blocks("README.md") if "training validate" in block)
    lines = [line.split("#")[0].strip().removeprefix("python -m ") for line in block.splitlines()]
    return [line for line in lines if not any(word in line for word in ELSEWHERE)]


@pytest.mark.parametrize("line", command_lines())
def test_a_command_of_the_readme_runs(
    service: Service, own: dict[str, str], folder: Path, tiny_bundle: tuple[Path, Path], line: str
) -> None:
    folders = {"DIR": str(folder / "out") if "--out" in line else str(tiny_bundle[1])}
    ended = run_here(*(folders.get(word, word) for word in line.split()), **own)

    # A machine that runs tests may be warned of: `doctor` then ends with 1.
    assert ended.exit_code in ({0, 1} if "doctor" in line else {0}), ended.output
    assert service.process.poll() is None


@pytest.mark.parametrize(
    ("page", "block"), CALLS, ids=[f"{page}-{at}" for at, (page, _) in enumerate(CALLS)]
)
def test_a_call_is_answered(service: Service, page: str, block: str) -> None:
    shell = ADDRESS.sub(service.url, block).replace("curl ", "curl --fail-with-body --silent ")
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", shell],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "KEY": ""},
        timeout=120,
    )

    assert done.returncode == 0, (page, block, done.stdout)
