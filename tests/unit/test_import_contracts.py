"""Every import contract is breached once, in a small copy of the project's shape."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.proofs import ROOT

MODULES = [
    "app/__main__.py",
    "app/bounded_log.py",
    "app/environment.py",
    "app/errors.py",
    "app/heap.py",
    "app/heartbeat.py",
    "app/main.py",
    "app/observability.py",
    "app/preloaded.py",
    "app/resources.py",
    "app/settings.py",
    "app/shared_metrics.py",
    "app/tracing.py",
    "app/worker_processes.py",
    "app/workers.py",
    "app/api/__init__.py",
    "app/bundles/__init__.py",
    "app/catalogue/__init__.py",
    "app/cli/__init__.py",
    "app/experiments/__init__.py",
    "app/export/__init__.py",
    "app/health/__init__.py",
    "app/network/__init__.py",
    "app/web/__init__.py",
    "app/promotion/__init__.py",
    "app/recommend/__init__.py",
    "app/security/__init__.py",
    "app/stores/__init__.py",
    "models/arrays/__init__.py",
    "models/catalogue/__init__.py",
    "models/dataset/__init__.py",
    "models/domain/__init__.py",
    "models/experiments/__init__.py",
    "models/features/__init__.py",
    "models/kernel/__init__.py",
    "models/neighbours/__init__.py",
    "models/pictures/__init__.py",
    "models/promotion/__init__.py",
    "models/query/__init__.py",
    "models/ranker/__init__.py",
    "models/recommenders/__init__.py",
    "models/scoring/__init__.py",
    "models/covers/__init__.py",
    "models/rules/__init__.py",
    "models/slate/__init__.py",
    "models/domain/customer.py",
    "models/domain/errors.py",
    "models/neighbours/search.py",
    "models/pictures/onnx.py",
    "models/ranker/ranker.py",
    "training/__main__.py",
    "training/configuration.py",
    "training/console.py",
    "training/baselines/__init__.py",
    "training/baselines/lambdarank.py",
    "training/checks/__init__.py",
    "training/covers/__init__.py",
    "training/evaluation/__init__.py",
    "training/examples/__init__.py",
    "training/experiments/__init__.py",
    "training/importers/__init__.py",
    "training/lists/__init__.py",
    "training/parts/__init__.py",
    "training/parts/remote_dataset.py",
    "training/parts/workers.py",
    "training/nightly/__init__.py",
    "training/off_policy/__init__.py",
    "training/pipeline/__init__.py",
    "training/ranker/__init__.py",
    "training/ranker/fit_trees.py",
    "training/recommenders/__init__.py",
    "training/report/__init__.py",
    "training/scenes/__init__.py",
    "training/simulator/__init__.py",
    "training/statistics/__init__.py",
    "training/studies/__init__.py",
]

BREACHES = [
    ("models/domain/customer.py", "import training.console", "training and app stand on models"),
    ("models/domain/customer.py", "import app.errors", "training and app stand on models"),
    ("training/console.py", "import app.errors", "training and app stand on models"),
    ("app/errors.py", "import training.console", "training and app stand on models"),
    ("app/recommend/__init__.py", "import app.api", "inside app, arrows point down"),
    ("app/cli/__init__.py", "import app.api", "inside app, arrows point down"),
    ("app/api/__init__.py", "import app.web", "inside app, arrows point down"),
    ("app/errors.py", "import app.settings", "inside app, arrows point down"),
    ("app/elsewhere.py", "", "inside app, arrows point down"),
    ("models/catalogue/__init__.py", "import models.query", "inside models, arrows point down"),
    ("models/elsewhere.py", "", "inside models, arrows point down"),
    ("training/ranker/__init__.py", "import training.pipeline", "inside training, arrows"),
    ("training/elsewhere.py", "", "inside training, arrows point down"),
    ("models/domain/customer.py", "import onnxruntime", "onnxruntime has one home"),
    ("models/domain/customer.py", "import faiss", "faiss has one home"),
    ("training/console.py", "import lightgbm", "lightgbm has one home"),
    ("models/domain/customer.py", "import lightgbm", "lightgbm has one home"),
    ("training/console.py", "import distributed", "dask has one home"),
    ("app/resources.py", "import obstore", "obstore has one home"),
    ("models/domain/customer.py", "import redis", "neither the web nor the store"),
    ("training/console.py", "from fastapi import FastAPI", "neither the web nor the store"),
    ("training/baselines/__init__.py", "import models.features", "baselines judge recommenders"),
    ("training/evaluation/__init__.py", "import training.simulator", "nothing of the product"),
    ("training/simulator/__init__.py", "import models.domain.customer", "the simulated world"),
]


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """The modules that the contracts name, each empty, and the real contracts."""
    for name in MODULES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for package in ("app", "models", "training"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "models/pictures/onnx.py").write_text("import onnxruntime")
    (tmp_path / "models/neighbours/search.py").write_text("import faiss")
    (tmp_path / "models/ranker/ranker.py").write_text("import lightgbm")
    (tmp_path / "training/console.py").write_text("import models.domain.errors")
    (tmp_path / "training/baselines/lambdarank.py").write_text("import lightgbm")
    (tmp_path / "training/parts/workers.py").write_text("import dask\nimport distributed")
    (tmp_path / "models/scoring/bundle_storage.py").write_text("import obstore")
    (tmp_path / "training/parts/remote_dataset.py").write_text("import obstore")
    (tmp_path / "training/ranker/fit_trees.py").write_text("import lightgbm")
    (tmp_path / "app/recommend/__init__.py").write_text("import models.pictures.onnx")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sysconfig.get_path("scripts")) / "lint-imports", "--no-cache"]
    return subprocess.run(
        command,
        cwd=project,
        env={"PYTHONPATH": str(project), "COLUMNS": "200"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_project_in_order_keeps_every_contract(small_project: Path) -> None:
    result = lint(small_project)

    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("module", "line", "contract"), BREACHES)
def test_a_breach_is_named(small_project: Path, module: str, line: str, contract: str) -> None:
    with (small_project / module).open("a") as file:
        file.write(f"\n{line}\n")

    result = lint(small_project)

    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if " BROKEN" in row]
    assert any(contract in row for row in broken), result.stdout
