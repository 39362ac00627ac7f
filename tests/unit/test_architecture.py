"""The architecture page names files and folders that exist, and all folders of the packages."""

import re

import pytest
import yaml

from tests.proofs import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PACKAGES = ("app", "models", "training")
NAMED = sorted(set(re.findall(r"`((?:app|models|training|tests)/[\w/.]+)`", PAGE)))


@pytest.mark.parametrize("name", [name for name in NAMED if "NAME" not in name])
def test_a_file_of_the_page_is_in_the_tree(name: str) -> None:
    assert (ROOT / name).exists()


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
