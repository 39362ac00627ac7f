"""implicit's alternating least squares; customers are folded in from their history.

Run as ``python als.py DIRECTORY``; see `benchmarks.quality.files`.
"""

# It runs in an environment of its own, whose libraries the type checker does not see.
# pyright: basic, reportMissingImports=false

import sys
from pathlib import Path

import numpy as np
import polars as pl
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

WEIGHTS = {"view": 1.0, "click": 1.0, "cart": 3.0, "purchase": 5.0}
FACTORS, REGULARIZATION, ALPHA, ITERATIONS, SEED = 64, 0.05, 10.0, 20, 0


def weighted(events: pl.DataFrame, *, by: str) -> pl.DataFrame:
    """Sum the weights of what each customer, or list, touched."""
    weight = pl.col("kind").replace_strict(WEIGHTS, return_dtype=pl.Float64)
    return events.group_by(by, "sale").agg(weight.sum().alias("weight")).sort(by, "sale")


def main(directory: Path) -> None:
    """Fit on what was received before the split, and score every list."""
    train = weighted(pl.read_parquet(directory / "train.parquet"), by="customer")
    sales = train["sale"].unique().sort()
    columns = {sale: column for column, sale in enumerate(sales)}
    rows = train["customer"].rank("dense").to_numpy().astype(np.int64) - 1
    cells = rows, train["sale"].replace_strict(columns).to_numpy()
    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=REGULARIZATION,
        alpha=ALPHA,
        iterations=ITERATIONS,
        random_state=SEED,
    )
    matrix = csr_matrix((train["weight"].to_numpy().astype(np.float32), cells))
    model.fit(matrix, show_progress=False)
    histories = weighted(pl.read_parquet(directory / "histories.parquet"), by="list")
    histories = histories.filter(pl.col("sale").is_in(sales.implode()))
    touched = {key[0]: part for key, part in histories.group_by("list")}
    parts: list[pl.DataFrame] = []
    for (number,), part in pl.read_parquet(directory / "lists.parquet").group_by("list"):
        known = part.filter(pl.col("sale").is_in(sales.implode()))
        own = touched.get(number)
        if own is None or not known.height:
            continue
        at = own["sale"].replace_strict(columns).to_numpy()
        cells = np.zeros(len(at), dtype=np.int64), at
        history = csr_matrix(
            (own["weight"].to_numpy().astype(np.float32), cells), shape=(1, len(sales))
        )
        taste = np.ravel(model.recalculate_user(0, history))
        items = model.item_factors[known["sale"].replace_strict(columns).to_numpy()]
        parts.append(known.select("list", "sale").with_columns(score=pl.Series(items @ taste)))
    pl.concat(parts).cast({"score": pl.Float64}).write_parquet(directory / "scores.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
