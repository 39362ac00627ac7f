"""Lists that a ranker of this product ordered, by the answers on record."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.events import Labels
from models.experiments.exposure import FILE, read_exposures
from models.ranker.objective import OBJECTIVES
from training.examples.slates import Slates


def ranked_lists(directory: Path, slates: Slates, *, exposures: Labels) -> NDArray[np.bool_]:
    """Return whether each slate is a full answer that a ranker ordered, shape ``(n_slates,)``.

    Args:
        directory: The dataset; none is without a file of exposures.
        slates: Slates.
        exposures: Ids of their exposure codes.

    Raises:
        ExposureError: If the file of exposures cannot be read.
    """
    if not (directory / FILE).is_file():
        return np.zeros(len(slates), dtype=np.bool_)
    by_ranker = pl.col("degraded").is_null() & pl.col("order_by").is_in(list(OBJECTIVES))
    answers = read_exposures(directory, ["recommendation_id"], where=by_ranker)
    ranked = exposures.values.is_in(answers["recommendation_id"].implode()).to_numpy()
    # Code -1, without an exposure, is the last.
    return np.append(ranked, [False])[slates.exposures]
