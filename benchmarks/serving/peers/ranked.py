"""LitServe with a LightGBM model over ready rows: no store, no features, no log.

Run as ``python ranked.py PORT FOLDER``, where ``model.txt`` and ``rows.npy`` are.
"""

# It runs in an environment of its own, whose libraries the type checker does not see.
# pyright: basic, reportMissingImports=false

import sys
from pathlib import Path

import lightgbm
import litserve
import numpy as np

FOLDER = Path(sys.argv[2])
N_ITEMS = 10


class Ranked(litserve.LitAPI):
    """Ranks the rows for each request."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - its interface
        """Read model and rows."""
        self.booster = lightgbm.Booster(model_file=FOLDER / "model.txt")
        self.rows = np.load(FOLDER / "rows.npy")

    def decode_request(self, request: dict) -> str:
        """Take the customer."""
        return request["customer_id"]

    def predict(self, customer: str) -> dict:
        """Score all rows and take the best."""
        scores = np.asarray(self.booster.predict(self.rows, num_threads=1))
        best = np.argsort(-scores)[:N_ITEMS]
        items = [{"sale_id": f"open-{row}", "score": scores[row].item()} for row in best.tolist()]
        return {"customer_id": customer, "items": items}


if __name__ == "__main__":
    server = litserve.LitServer(Ranked(), accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
