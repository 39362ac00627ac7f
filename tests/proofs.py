"""Long proofs, whose size the environment chooses and whose figures are kept.

``make check`` runs each proof at a hundredth, ``make prove`` in full.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCALE_VARIABLE = "VITRINE_PROOF_SCALE"
DEFAULT_SCALE = "0.01"
FULL_SCALE = 1.0


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One claim under test: how large to make it, and where its figures go.

    Args:
        node_id: The test that proves, as pytest names it.
        share: Share of the full size, in ``(0, 1]``.
        directory: Where the figures of a proof in full are written.
    """

    node_id: str
    share: float
    directory: Path

    def scale(self, n: int) -> int:
        """Return the share of ``n`` that this run proves, at least 1."""
        return max(1, int(n * self.share))

    def record(self, name: str, figures: Mapping[str, object]) -> None:
        """Write ``<name>.json``: figures, commit and command; only of a proof in full.

        A hundredth of a proof is a check of the proof, not a result.
        """
        if self.share < FULL_SCALE:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        record = {
            "name": name,
            "commit": _commit(),
            "command": f"{SCALE_VARIABLE}={self.share:g} python -m pytest '{self.node_id}'",
            "scale": self.share,
            "figures": dict(figures),
        }
        text = json.dumps(record, indent=2, allow_nan=False) + "\n"
        (self.directory / f"{name}.json").write_text(text, encoding="utf-8")


def share_to_prove() -> float:
    """Return the share of the full size that this run proves, in ``(0, 1]``."""
    share = float(os.environ.get(SCALE_VARIABLE, DEFAULT_SCALE))
    if not 0 < share <= FULL_SCALE:
        msg = f"{SCALE_VARIABLE} must lie in (0, 1], got {share:g}"
        raise pytest.UsageError(msg)
    return share


@pytest.fixture(scope="session")
def proof_share() -> float:
    """Give the share of the full size that this run proves."""
    return share_to_prove()


@pytest.fixture
def proof(request: pytest.FixtureRequest, proof_share: float) -> Proof:
    """Give a test marked ``prove`` its size and a place for its figures."""
    return Proof(
        node_id=request.node.nodeid, share=proof_share, directory=ROOT / "results" / "proofs"
    )


def _commit() -> str:
    """Return the commit that is checked out, with ``-dirty`` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return run.stdout.strip()
