"""Every import contract is breached once, in a small copy of the project's shape."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.proofs import ROOT

MODULES = [
    "app/__main__.py",
    "app/console.py",
    "app/main.py",
    "app/plan_command.py",
    "app/promotion_command.py",
    "app/api/__init__.py",
    "app/web/__init__.py",
    "app/resources.py",
    "app/security/__init__.py",
    "app/stores/__init__.py",
    "app/serving/__init__.py",
    "app/network/__init__.py",
    "app/bounded_log.py",
    "app/shared_metrics.py",
    "app/heartbeat.py",
    "app/observability.py",
    "app/settings.py",
    "app/errors.py",
    "app/environment.py",
    "app/withdrawal.py",
    "app/erasures_command.py",
    "app/activation.py",
    "app/export/__init__.py",
    "app/doctor.py",
    "app/load.py",
    "app/load_report.py",
    "app/replay.py",
    "app/workers.py",
    "models/customer.py",
    "models/neighbours.py",
    "models/onnx.py",
    "models/ranker.py",
    "training/report.py",
    "training/world/__init__.py",
]

BREACHES = [
    ("models/customer.py", "import training.report", "training and app stand on models"),
    ("models/customer.py", "import app.errors", "training and app stand on models"),
    ("training/report.py", "import app.errors", "training and app stand on models"),
    ("app/errors.py", "import training.report", "training and app stand on models"),
    ("app/serving/__init__.py", "import app.stores", "inside app, arrows point down"),
    ("app/web/__init__.py", "import app.api", "inside app, arrows point down"),
    ("app/errors.py", "import app.settings", "inside app, arrows point down"),
    ("app/elsewhere.py", "", "inside app, arrows point down"),
    ("models/customer.py", "import onnxruntime", "onnxruntime has one home"),
    ("models/customer.py", "import faiss", "faiss has one home"),
    ("training/report.py", "import lightgbm", "lightgbm has one home"),
    ("models/customer.py", "import redis", "neither the web nor the store"),
    ("training/report.py", "from fastapi import FastAPI", "neither the web nor the store"),
    ("training/world/__init__.py", "import models.customer", "the simulated world"),
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
    (tmp_path / "models/onnx.py").write_text("import onnxruntime")
    (tmp_path / "models/neighbours.py").write_text("import faiss")
    (tmp_path / "models/ranker.py").write_text("import lightgbm")
    (tmp_path / "app/serving/__init__.py").write_text("import models.onnx")
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
    (small_project / module).write_text(line)

    result = lint(small_project)

    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if " BROKEN" in row]
    assert any(contract in row for row in broken), result.stdout
