from pathlib import Path

import pytest

from tests.changed import find_unit_tests

FILES = (
    "tests/unit/test_code_rules.py",
    "tests/unit/app/test_main.py",
    "tests/unit/app/recommend/test_routing.py",
    "tests/unit/app/recommend/test_drift.py",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ("app/recommend/routing.py", "tests/unit/app/recommend/test_routing.py"),
        ("app/__main__.py", "tests/unit/app/test_main.py"),
        ("app/recommend/untested.py", "tests/unit/app/recommend"),
        ("app/unheard/of.py", "tests/unit/app"),
        ("tests/unit/app/test_main.py", "tests/unit/app/test_main.py"),
        ("tests/unit/app/recommend/conftest.py", "tests/unit/app/recommend"),
        ("tests/unit/app/recommend/test_gone.py", "tests/unit/app/recommend"),
    ],
)
def test_a_changed_module_is_tested_by_its_mirror_or_the_nearest_folder(
    root: Path, changed: str, found: str
) -> None:
    assert find_unit_tests([Path(changed)], root) == sorted(
        [Path("tests/unit/test_code_rules.py"), Path(found)]
    )


@pytest.mark.parametrize("changed", ["README.md", "deploy/audit.py", "tests/api/test_sales.py"])
def test_for_other_files_only_the_rules_of_the_repository_are_tested(
    root: Path, changed: str
) -> None:
    assert find_unit_tests([Path(changed)], root) == [Path("tests/unit/test_code_rules.py")]


def test_a_file_in_a_folder_that_is_tested_is_not_named_again(root: Path) -> None:
    changed = [Path("app/recommend/untested.py"), Path("app/recommend/drift.py")]

    assert find_unit_tests(changed, root) == [
        Path("tests/unit/app/recommend"),
        Path("tests/unit/test_code_rules.py"),
    ]
