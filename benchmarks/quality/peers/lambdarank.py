"""A plain LightGBM LambdaRank on the seventeen features of `benchmarks.quality.plain`.

Run as ``python lambdarank.py DIRECTORY``; see `benchmarks.quality.files`.
"""

# It runs in an environment of its own, whose libraries the type checker does not see.
# pyright: basic, reportMissingImports=false

import sys
from pathlib import Path

import lightgbm
import numpy as np
import polars as pl

PARAMETERS = {
    "objective": "lambdarank",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "num_threads": 1,
    "seed": 0,
    "deterministic": True,
    "verbosity": -1,
}
N_TREES, PATIENCE, LATE_SHARE = 400, 40, 0.2


def ranked_set(frame: pl.DataFrame, reference: lightgbm.Dataset | None) -> lightgbm.Dataset:
    """Build LightGBM's data from lists that lie together."""
    sizes = frame.group_by("list", maintain_order=True).len()["len"].to_numpy()
    features = frame.select(pl.selectors.starts_with("f_")).to_numpy()
    return lightgbm.Dataset(features, frame["bought"].to_numpy(), group=sizes, reference=reference)


def main(directory: Path) -> None:
    """Fit on the earlier lists, stop on the latest of them, and score the others."""
    training = pl.read_parquet(directory / "training.parquet").sort("list", maintain_order=True)
    cut = int(np.quantile(training["list"].to_numpy(), 1 - LATE_SHARE))
    early = ranked_set(training.filter(pl.col("list") < cut), None)
    late = ranked_set(training.filter(pl.col("list") >= cut), early)
    booster = lightgbm.train(
        PARAMETERS | {"metric": "ndcg", "eval_at": [10]},
        early,
        num_boost_round=N_TREES,
        valid_sets=[late],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    lists = pl.read_parquet(directory / "lists.parquet")
    scores = booster.predict(lists.select(pl.selectors.starts_with("f_")).to_numpy())
    scored = lists.select("list", "sale").with_columns(score=pl.Series(np.asarray(scores)))
    scored.write_parquet(directory / "scores.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
