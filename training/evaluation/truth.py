"""What a simulated world knows about itself: the probabilities behind its visits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.parquet import scan_parquet
from models.catalogue.catalogue import Catalogue
from models.dataset.events import keys_of

TRUTH_FILE = "truth.parquet"


@dataclass(frozen=True)
class VisitTruth:
    """Probabilities of one visit over the catalogue.

    Attributes:
        truth: P(buy | examined at position 1), NaN where not given, shape ``(n_catalogue,)``.
        knowable: Its posterior mean given the events received so far, same shape.
    """

    truth: NDArray[np.float64]
    knowable: NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """The truth about visits, by exposure id."""

    visits: dict[str, tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.float64]]]

    @staticmethod
    def is_in(directory: Path) -> bool:
        """Tell whether a dataset comes with its truth."""
        return (directory / TRUTH_FILE).is_file()

    @classmethod
    def read(cls, directory: Path, exposure_ids: list[str]) -> Self | None:
        """Read the truth about some exposures; None where the dataset has none."""
        if not cls.is_in(directory):
            return None
        truth = scan_parquet([directory / TRUTH_FILE])
        frame = truth.filter(pl.col("exposure_id").is_in(exposure_ids)).collect()
        if frame.is_empty():
            return None
        ends = np.cumsum(frame["sale_ids"].list.len().to_numpy())[:-1]
        keys = keys_of(frame["sale_ids"].explode())
        columns = (frame[name].explode().cast(pl.Float64) for name in ("truth", "knowable"))
        parts = zip(
            frame["exposure_id"].to_list(),
            np.split(keys, ends),
            *(np.split(column.to_numpy(), ends) for column in columns),
            strict=True,
        )
        return cls({exposure: (k, t, w) for exposure, k, t, w in parts})

    def of(self, exposure_id: str | None, catalogue: Catalogue) -> VisitTruth | None:
        """Return the probabilities of an exposure, None if there are none."""
        found = self.visits.get(exposure_id) if exposure_id else None
        if found is None:
            return None
        keys, truth, knowable = found
        rows = catalogue.rows_of(keys)
        return VisitTruth(_spread(truth, rows, catalogue), _spread(knowable, rows, catalogue))


def _spread(
    values: NDArray[np.float64], rows: NDArray[np.int64], catalogue: Catalogue
) -> NDArray[np.float64]:
    spread = np.full(len(catalogue), np.nan)
    spread[rows[rows >= 0]] = values[rows >= 0]
    return spread
