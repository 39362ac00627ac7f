"""Result files of benchmarks."""

import json
from collections.abc import Mapping

from tests.proofs import ROOT


def write_result(name: str, figures: Mapping[str, object]) -> None:
    """Print figures and write them to ``results/benchmarks/<name>.json``."""
    text = json.dumps(dict(figures), indent=2, allow_nan=False)
    directory = ROOT / "results" / "benchmarks"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(f"\n{name}: {text}")
