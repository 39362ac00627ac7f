"""Reader of the Open Bandit Dataset: logs of single positions, with propensities.

Source: Saito et al., Open Bandit Dataset and Pipeline, NeurIPS 2021 Datasets and Benchmarks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.domain.errors import UserError

# As the data set names its folders.
POLICIES: Final = ("random", "bts")
CAMPAIGNS: Final = ("men", "women")
_COLUMNS: Final = {
    "item_id": pl.Int64,
    "position": pl.Int64,
    "click": pl.Int64,
    "propensity_score": pl.Float64,
}
# A propensity of 0 would be divided by, and its row cannot have been drawn.
_POSSIBLE: Final = {
    "item_id": pl.col("item_id") >= 0,
    "position": pl.col("position") >= 1,
    "click": pl.col("click").is_in([0, 1]),
    "propensity_score": pl.col("propensity_score").is_between(0, 1, closed="right"),
}


class BanditLogError(UserError):
    """A file that is no log of the Open Bandit Dataset."""


@dataclass(frozen=True, slots=True, eq=False)
class BanditLog:
    """Log of one policy in one campaign; all arrays of shape ``(n_rows,)``.

    Attributes:
        items: Item shown, from 0.
        positions: Where, from 1.
        clicks: 1 if it was clicked, else 0.
        propensities: Probability that the policy showed it there, in ``(0, 1]``.
    """

    items: NDArray[np.int64]
    positions: NDArray[np.int64]
    clicks: NDArray[np.float64]
    propensities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.items)


def read_bandit_log(root: Path, *, policy: str, campaign: str) -> BanditLog:
    """Read the log of a policy in a campaign.

    Args:
        root: Folder that holds ``<policy>/<campaign>/<campaign>.csv.gz``, or ``.csv``.
        policy: ``random`` or ``bts``.
        campaign: ``men``, ``women`` or ``all``.

    Raises:
        BanditLogError: If there is no such file, or it has other columns or impossible values.
    """
    folder = root / policy / campaign
    paths = [folder / f"{campaign}.csv.gz", folder / f"{campaign}.csv"]
    path = next((one for one in paths if one.is_file()), None)
    if path is None:
        msg = f"{paths[0]} is missing: give the folder that holds {' and '.join(POLICIES)}"
        raise BanditLogError(msg)
    try:
        with path.open("rb") as file:
            frame = pl.read_csv(  # noqa: TID251 - of an open file there is nothing to expand
                file, columns=list(_COLUMNS), schema_overrides=_COLUMNS
            )
    except pl.exceptions.PolarsError as exc:
        msg = f"{path}: {exc}"
        raise BanditLogError(msg) from exc
    for name, rule in _POSSIBLE.items():
        # Line 1 holds the names of the columns.
        faulty = frame.with_row_index(offset=2).filter(~rule.fill_null(value=False))
        if faulty.height:
            msg = f"{path}, line {faulty['index'][0]}: {name} cannot be {faulty[name][0]}"
            raise BanditLogError(msg)
    return BanditLog(
        items=frame["item_id"].to_numpy(),
        positions=frame["position"].to_numpy(),
        clicks=frame["click"].cast(pl.Float64).to_numpy(),
        propensities=frame["propensity_score"].to_numpy(),
    )
