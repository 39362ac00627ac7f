from pathlib import Path

import pytest

from tests.changed import find_dependants, find_unit_tests

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


SOURCES = {
    "models/sale/__init__.py": "from models.sale.price import Price",
    "models/sale/price.py": "",
    "app/direct.py": "import models.sale.price",
    "app/named.py": "from models.sale import price",
    "app/by_package.py": "from models.sale import Price",
    "app/two_steps.py": "from app.direct import line",
    "tests/test_direct.py": "from app.direct import line",
    "training/other.py": "import app.directory",
}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (
            "models/sale/price.py",
            [
                *("app/by_package.py", "app/direct.py", "app/named.py"),
                *("models/sale/__init__.py", "models/sale/price.py"),
            ],
        ),
        ("app/direct.py", ["app/direct.py", "app/two_steps.py", "tests/test_direct.py"]),
        ("app/directory.py", ["training/other.py"]),
        ("README.md", []),
    ],
)
def test_types_depend_on_what_is_imported_directly_or_from_a_package(
    tmp_path: Path, changed: str, found: list[str]
) -> None:
    """The third change deletes a file."""
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert find_dependants([Path(changed)], tmp_path) == [Path(name) for name in found]
