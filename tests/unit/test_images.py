"""Images: their labels, their bill of materials, and that each has what its job runs."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.rehearse import Image, stages
from deploy.sbom import bill_of_materials
from tests.proofs import ROOT

STAGES = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = re.compile(r"^[a-z0-9.-]+==", re.MULTILINE)


def built(target: str) -> Image:
    """Configuration of a target, after all instructions of its parents."""
    parent, *steps = STAGES[target]
    name = parent.rest.split(" AS ")[0]
    image = built(name) if name in STAGES else Image()
    for step in steps:
        image = image.after(step)
    return image


def copied(target: str) -> set[str]:
    """Folders of the checkout that a target holds."""
    parent, *steps = STAGES[target]
    name = parent.rest.split(" AS ")[0]
    own = {s.rest.split()[0] for s in steps if s.verb == "COPY" and "--from" not in s.rest}
    return own | (copied(name) if name in STAGES else set())


@pytest.mark.parametrize("target", ["cpu", "gpu", "training"])
def test_an_image_runs_as_a_user_without_rights_and_says_what_it_is(target: str) -> None:
    labels = built(target).labels

    assert built(target).user == "10001"
    assert labels["org.opencontainers.image.title"] == PROJECT["name"]
    assert labels["org.opencontainers.image.version"] == PROJECT["version"]
    assert labels["org.opencontainers.image.licenses"] == PROJECT["license"]


def test_the_image_of_nights_holds_both_programs_and_no_health_check() -> None:
    assert copied("training") == {"models", "app", "training"}
    assert copied("cpu") == copied("gpu") == {"models", "app"}
    assert built("training").health == []
    assert built("cpu").health[:2] == ["python", "-c"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_the_bill_of_a_lock_is_valid_and_names_every_package(lock: Path) -> None:
    bill = bill_of_materials(lock)
    text = lock.read_text(encoding="utf-8")

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert json.dumps(bill).count('"purl"') == len(PINNED.findall(text)) > 0
    hashes = re.findall(r'"content": "([0-9a-f]{64})"', json.dumps(bill))
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", text)
    assert bill == bill_of_materials(lock)


def test_the_bill_is_printed(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "deploy/sbom.py")]
    lock = ROOT / "requirements/bootstrap.txt"
    done = subprocess.run([*command, str(lock)], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == bill_of_materials(lock)

    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(ValueError, match="pins no package"):
        bill_of_materials(empty)


def test_compose_builds_what_there_is_and_mounts_files_that_exist() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))

    targets = {one["build"]["target"] for one in compose["services"].values() if "build" in one}
    assert targets <= STAGES.keys()
    mounts = [
        v.split(":")[0] for one in compose["services"].values() for v in one.get("volumes", [])
    ]
    files = {mount for mount in mounts if mount.startswith(".")}
    assert [one for one in files if not (ROOT / "deploy" / one).exists()] == []
    assert set(mounts) - files == set(compose["volumes"])
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= compose["services"].keys()
