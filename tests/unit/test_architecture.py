"""The documentation names files that exist; the architecture page names all folders."""

import re

import pytest
import yaml

from tests.proofs import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PACKAGES = ("app", "models", "training")
FOLDERS = (*PACKAGES, "benchmarks", "deploy", "docs", "tests")
FILES = {
    path.name
    for name in FOLDERS
    for path in (ROOT / name).rglob("*")
    if path.suffix in {".py", ".lua"}
}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# A changelog is history; a superseded decision is, too.
PRESENT = [
    path
    for path in DOCUMENTS
    if path.name != "CHANGELOG.md" and "\nSuperseded by [" not in path.read_text(encoding="utf-8")
]


def missing_files(text: str) -> set[str]:
    """Files of the packages that a text names, by path or by name, and that do not exist."""
    paths = set(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w/.-]+\.\w+)`", text))
    names = set(re.findall(r"`([\w-]+\.(?:py|lua))`", text))
    missing = {name for name in paths if not (ROOT / name).exists()} | (names - FILES)
    return {name for name in missing if "NAME" not in name}


def test_files_that_documents_name_are_in_the_tree() -> None:
    found = {path.name: missing_files(path.read_text(encoding="utf-8")) for path in PRESENT}

    assert {name: missing for name, missing in found.items() if missing} == {}


def test_a_file_that_is_named_by_path_or_alone_is_missed() -> None:
    text = "`app/main.py`, `app/gone.py`, `gone.lua`, `main.py`, `app/cli/NAME.py`, `events.csv`"

    assert missing_files(text) == {"app/gone.py", "gone.lua"}


def test_folders_of_the_page_are_in_the_tree() -> None:
    folders = set(re.findall(r"`((?:app|models|training|tests)/[\w/]+/)`", PAGE))

    assert folders
    assert {name for name in folders if not (ROOT / name).is_dir()} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_is_on_the_page(package: str) -> None:
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}

    assert {name for name in folders if f"`{package}/{name}/`" not in PAGE} == set()


def test_every_route_of_the_page_is_in_the_api() -> None:
    named = re.findall(r"`(GET|PUT|POST|DELETE) (/v1/[^`?]+)`", PAGE)
    api = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["paths"]

    assert named
    assert [route for method, route in named if method.lower() not in api.get(route, {})] == []


def test_every_decision_is_in_the_index() -> None:
    decisions = {path.name for path in (ROOT / "docs/decisions").glob("0*.md")}
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\((0\d{3}-[\w-]+\.md)\)", index)) == decisions
