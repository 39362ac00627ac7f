"""A night that is killed goes on as if nothing had happened; a worse bundle is not published."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.night import JUDGE_HOURS, killed_night, night_in
from tests.proofs import ROOT, Proof
from tests.worlds import Silent
from training.nightly.run import run_night

KILLED_AT: Final = (
    ("validate", 0),
    ("scenes", 0),
    ("scenes", 20),
    ("pictures", 0),
    ("pictures", 30),
    ("topics", 0),
    ("recommenders", 1),
    ("features", 0),
    ("features", 100),
    ("ranker", 0),
    ("evaluate", 0),
    ("gate", 0),
    ("publish", 0),
)
"""Stages and ticks of progress within, in their order: each night gets a little further."""

IN_CHECK: Final = (("features", 100), ("publish", 0))


def nightly(root: Path, data: Path, *, cache: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command as the CronJob does."""
    options = {
        "--data": data,
        "--bundles": root / "bundles",
        "--profiles": root / "profiles",
        "--state": root / "state",
        "--cache": cache,
        "--judge-hours": JUDGE_HOURS,
    }
    words = [str(word) for option in options.items() for word in option]
    command = [sys.executable, "-m", "training", "nightly", "--json", *words]
    return subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=600
    )


def contents(root: Path) -> dict[str, bytes]:
    """Return every published file by its name below a folder."""
    published = [root / "bundles", root / "profiles"]
    files = [path for folder in published for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.prove
@pytest.mark.slow
def test_a_night_killed_in_every_stage_publishes_the_same_bytes(
    tiny_world: Path, picture_cache: Path, tmp_path: Path, proof: Proof
) -> None:
    """In full the killed nights begin with an empty cache, so that pictures are seen anew."""
    whole = proof.share == 1
    cache = tmp_path / "cache" if whole else picture_cache
    killed = [place for place in KILLED_AT if whole or place in IN_CHECK]
    for stage, n_ticks in killed:
        status = killed_night(
            tmp_path / "killed", tiny_world, cache=cache, stage=stage, n_ticks=n_ticks
        )
        assert status == -signal.SIGKILL, f"{stage} after {n_ticks} ticks: exit status {status}"
        assert not (tmp_path / "killed" / "bundles").exists()

    ended = nightly(tmp_path / "killed", tiny_world, cache=cache)
    run_night(night_in(tmp_path / "calm", tiny_world, cache=picture_cache), progress=Silent())

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "published"
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")
    proof.record("nightly", {"killed_at": [f"{stage}+{ticks}" for stage, ticks in killed]})
