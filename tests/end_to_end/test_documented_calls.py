"""Commands and calls of the manual, as a reader copies them, in the order of their first day."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.bundles import recalibrated
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, serving_shop, shop_settings
from tests.proofs import ROOT

pytestmark = pytest.mark.slow

PAGES: Final = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
BLOCK: Final = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Options in brackets may be left out, and of choices, as `ID|PATH`, the first is taken.
OPTION: Final = re.compile(r"\s*\[[^\[\]]*\]|\|[A-Z]+\b")
COMMAND: Final = re.compile(r"python -m ((?:app|training) (?:(?!python -m)[^\n|&;<>])+)")
# In the order in which a reader meets them; those of `operations.md` need a clock of the past.
PAGES_OF_CALLS: Final = ("README.md", "docs/website.md", "docs/dataset.md", "docs/rules.md")
ADDRESS: Final = re.compile(r"(?:http://)?(?:127\.0\.0\.1|localhost):8000")

STEPS: Final = (
    "training import table --events orders.csv --map order_lines --out shop",
    "training validate --data shop",
    "training validate --data DIR",
    "app load --data DIR",
    "app doctor",
    "app keys new --scope read --scope events --note website",
    "app keys new --scope sales --note catalogue",
    "app keys new --scope customers --note privacy",
    "app keys new --scope metrics --note prometheus",
    "app keys new --scope inspect --scope admin --note operators",
    "app keys new --scope metrics",
    "app keys new --scope inspect --scope admin",
    "training bundles list",
    "training bundles show BUNDLE",
    "training bundles compare BUNDLE BUNDLE",
    "training bundles push s3://shop/bundles --keep 14",
    "training bundles pull s3://shop/bundles",
    "app promotion begin ID",
    "app promotion show",
    "app promotion stop --reason …",
    "app export-events --out DIR",
    "app apply-erasures --data DIR",
    "training experiment-report --name NAME --plan FILE --data DIR --exposures DIR",
    "training nightly --data DIR --bundles BUNDLES --profiles PROFILES",
    "training batch-score --data DIR --bundle ID --out DIR",
    "app load-lists --lists DIR",
)
# A machine that runs tests may be warned of, and there is nothing new for a night.
STATUSES: Final = {"app doctor": {0, 1}, "training nightly": {4}}
ELSEWHERE: Final = {
    "app activate": "end_to_end/test_loop.py",
    "app load-profiles": "end_to_end/test_loop.py",
    "app promotion estimate": "unit/app/cli/test_plan.py",
    "app serve": "end_to_end/test_serve.py",
    "training cold-start": "end_to_end/test_cold_start.py",
    "training covers": "unit/training/off_policy/test_cover_command.py",
    "training evaluate": "end_to_end/test_report.py",
    "training experiment-design": "unit/training/experiments/test_command.py",
    "training import table": "unit/training/importers/test_table.py",
    "training learning-curve": "unit/training/studies/test_learning_curve.py",
    "training nightly": "end_to_end/test_nightly.py",
    "training off-policy": "unit/training/off_policy/test_command.py",
    "training open-bandit": "unit/training/off_policy/test_command.py",
    "training simulate": "end_to_end/test_notebook.py",
    "training simulate-loop": "unit/training/studies/test_closed_loop.py",
    "training train": "unit/training/pipeline/test_train_command.py",
    "training tune": "unit/training/studies/test_hyperparameters.py",
    "training validate": "unit/training/checks",
}
"""Commands of which some lines take minutes, run on, or need files of the reader's: their tests."""

ORDER_LINES: Final = """\
Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country
536365,85123A,WHITE LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536366,71053,RED LANTERN,2,2010-12-02 09:01:00,3.39,13047,France
"""


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def command_lines() -> set[str]:
    """Commands of all blocks, without comments and what may be left out."""
    found = [
        shlex.split(command, comments=True)
        for page in PAGES
        for block in blocks(page)
        for command in COMMAND.findall(OPTION.sub("", block.replace("\\\n", " ")))
    ]
    return {" ".join(words) for words in found if len(words) > 1}


CALLS = [(page, block) for page in PAGES_OF_CALLS for block in blocks(page) if "curl " in block]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]) -> Path:
    """A reader's folder, in which lie what the pages call DIR, BUNDLES, BUNDLE and FILE."""
    desk = tmp_path_factory.mktemp("desk")
    bundle, world = tiny_bundle
    shutil.copytree(bundle, desk / "BUNDLES" / bundle.name)
    (desk / "BUNDLE").symlink_to(recalibrated(bundle, desk / "BUNDLES", shift=0.5))
    (desk / "DIR").mkdir()
    for path in world.iterdir():
        (desk / "DIR" / path.name).symlink_to(path)
    shutil.copy(ROOT / "deploy/demo-plan.yaml", desk / "FILE")
    (desk / "orders.csv").write_text(ORDER_LINES)
    return desk


@pytest.fixture(scope="module")
def own(desk: Path, tiny_bundle: tuple[Path, Path]) -> dict[str, str]:
    bundle = desk / "BUNDLES" / tiny_bundle[0].name
    return {**shop_settings(desk, bundle), "VITRINE_EXPORTS": str(desk / "DIR")}


@pytest.fixture(scope="module")
def service(desk: Path, own: dict[str, str], tiny_bundle: tuple[Path, Path]) -> Generator[Service]:
    with serving_shop(desk, tiny_bundle, **own) as service:
        yield service


def test_every_command_of_a_block_is_run_here_or_by_a_test_of_its_own() -> None:
    others = {line for line in command_lines() if line not in STEPS}
    tested = {name for name, path in ELSEWHERE.items() if (ROOT / "tests" / path).exists()}

    assert {*STEPS} <= command_lines()
    assert tested == ELSEWHERE.keys()
    assert {line for line in others if not any(line.startswith(name) for name in tested)} == set()


@pytest.mark.parametrize("line", STEPS)
def test_a_command_runs_as_its_page_shows_it(
    service: Service,
    desk: Path,
    own: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    if line.startswith("app export-events"):
        http.get(f"{service.url}/v1/recommendations?customer_id=c1").raise_for_status()
        http.delete(f"{service.url}/v1/customers/c2").raise_for_status()
    readers = {
        "--bundle ID --out DIR": "--bundle BUNDLE --out lists",
        "--lists DIR": "--lists lists",
        "begin ID": f"begin {(desk / 'BUNDLE').resolve().name}",
        "NAME": "order",
        "s3://shop/bundles": f"file://{desk}/storage",
    }
    typed = line
    for name, value in readers.items():
        typed = typed.replace(name, value)
    monkeypatch.chdir(desk)

    ended = run_here(*typed.split(), **own, VITRINE_KEYS=str(desk / "keys.json"))

    assert ended.exit_code in STATUSES.get(" ".join(line.split()[:2]), {0}), ended.output
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
