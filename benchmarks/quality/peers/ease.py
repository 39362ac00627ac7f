"""RecTools' EASE: item to item weights in closed form, applied to each history.

Run as ``python ease.py DIRECTORY``; see `benchmarks.quality.files`.
"""

# It runs in an environment of its own, whose libraries the type checker does not see.
# pyright: basic, reportMissingImports=false

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel

WEIGHTS = {"view": 1.0, "click": 1.0, "cart": 3.0, "purchase": 5.0}
REGULARIZATION, MAX_SALES = 100.0, 8_000


def main(directory: Path) -> None:
    """Fit on what was received before the split, and score every list."""
    weight = pl.col("kind").replace_strict(WEIGHTS, return_dtype=pl.Float64)
    train = pl.read_parquet(directory / "train.parquet").with_columns(weight=weight)
    # The method inverts a matrix of sales by sales: the most touched ones have to do.
    kept = train["sale"].value_counts(sort=True).head(MAX_SALES)["sale"]
    train = train.filter(pl.col("sale").is_in(kept.implode()))
    interactions = pd.DataFrame(
        {
            Columns.User: train["customer"].to_list(),
            Columns.Item: train["sale"].to_list(),
            Columns.Weight: train["weight"].to_list(),
            Columns.Datetime: train["at"].to_list(),
        }
    )
    dataset = Dataset.construct(interactions)
    model = EASEModel(regularization=REGULARIZATION)
    model.fit(dataset)
    columns = {sale: int(n) for n, sale in enumerate(dataset.item_id_map.external_ids.tolist())}
    known = list(columns)
    histories = pl.read_parquet(directory / "histories.parquet")
    histories = histories.with_columns(weight=weight).filter(pl.col("sale").is_in(known))
    touched = {key[0]: part for key, part in histories.group_by("list")}
    parts: list[pl.DataFrame] = []
    for (number,), part in pl.read_parquet(directory / "lists.parquet").group_by("list"):
        part = part.filter(pl.col("sale").is_in(known))
        own = touched.get(number)
        if own is None or not part.height:
            continue
        rows = own["sale"].replace_strict(columns).to_numpy()
        targets = part["sale"].replace_strict(columns).to_numpy()
        block = np.asarray(model.weight)[np.ix_(rows, targets)]
        scores = own["weight"].to_numpy() @ block
        parts.append(part.select("list", "sale").with_columns(score=pl.Series(scores)))
    pl.concat(parts).cast({"score": pl.Float64}).write_parquet(directory / "scores.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
