import json
import subprocess
from pathlib import Path

import pytest

from tests.proofs import ROOT, Proof


def a_proof(share: float, directory: Path) -> Proof:
    return Proof(node_id="tests/test_it.py::test_it", share=share, directory=directory)


@pytest.mark.parametrize(("n", "scaled"), [(20_000, 200), (150, 1), (3, 1)])
def test_a_hundredth_of_a_proof_keeps_at_least_one_case(
    n: int, scaled: int, tmp_path: Path
) -> None:
    assert a_proof(0.01, tmp_path).scale(n) == scaled


def test_a_proof_in_full_keeps_its_figures_with_commit_and_command(tmp_path: Path) -> None:
    git = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    a_proof(1.0, tmp_path / "proofs").record("rise", {"share_risen": 0.93})

    record = json.loads((tmp_path / "proofs" / "rise.json").read_text(encoding="utf-8"))
    assert record["figures"] == {"share_risen": 0.93}
    assert record["commit"].removesuffix("-dirty") == head.strip()
    assert record["command"] == "VITRINE_PROOF_SCALE=1 python -m pytest 'tests/test_it.py::test_it'"


def test_a_hundredth_of_a_proof_leaves_no_result(tmp_path: Path) -> None:
    a_proof(0.01, tmp_path).record("rise", {"share_risen": 0.93})

    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        a_proof(1.0, tmp_path).record("rise", {"share_risen": float("nan")})
