"""BentoML with a LightGBM model over ready rows: no store, no features, no log.

Run as ``python bento.py PORT FOLDER``, where ``model.txt`` and ``rows.npy`` are.
"""

# It runs in an environment of its own, whose libraries the type checker does not see.
# pyright: basic, reportMissingImports=false

import os
import sys
from pathlib import Path

import bentoml
import lightgbm
import numpy as np

N_ITEMS = 10


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Ranked:
    """Ranks the rows for each request."""

    def __init__(self) -> None:
        folder = Path(os.environ["PEER_FOLDER"])
        self.booster = lightgbm.Booster(model_file=folder / "model.txt")
        self.rows = np.load(folder / "rows.npy")

    @bentoml.api
    def rank(self, customer_id: str) -> dict:
        """Score all rows and return the best."""
        scores = np.asarray(self.booster.predict(self.rows, num_threads=1))
        best = np.argsort(-scores)[:N_ITEMS].tolist()
        items = [{"sale_id": f"open-{row}", "score": scores[row].item()} for row in best]
        return {"customer_id": customer_id, "items": items}


if __name__ == "__main__":
    os.environ["PEER_FOLDER"] = sys.argv[2]
    os.chdir(Path(__file__).parent)
    command = ["bentoml", "serve", "bento:Ranked", "--port", sys.argv[1]]
    os.execv(Path(sys.executable).parent / "bentoml", command)  # noqa: S606 - its own command
