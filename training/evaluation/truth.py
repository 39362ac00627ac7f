"""Ground truth of a simulated dataset: purchase probabilities by visit, examination by position."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.parquet import read_parquet, scan_parquet
from models.catalogue.catalogue import Catalogue
from models.dataset.event_columns import keys_for
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport

TRUTH_FILE: Final = "truth.parquet"
POSITIONS_FILE: Final = "truth_positions.parquet"


@dataclass(frozen=True)
class VisitTruth:
    """True purchase probabilities at one visit, over the catalogue.

    Attributes:
        truth: P(buy | examined at position 1), NaN where not given, shape ``(n_catalogue,)``.
        knowable: Its posterior mean given the events received so far, same shape.
    """

    truth: NDArray[np.float64]
    knowable: NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """Ground truth of some exposures.

    Attributes:
        visits: By exposure id: sale keys, their ``truth`` and their ``knowable``, see
            `VisitTruth`.
        examined: P(examined | shown) at position 1, 2 and so on, shape ``(n_positions,)``.
    """

    visits: dict[str, tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.float64]]]
    examined: NDArray[np.float64]

    @staticmethod
    def is_in(directory: Path) -> bool:
        """Return whether a dataset has a truth file."""
        return (directory / TRUTH_FILE).is_file()

    @classmethod
    def read(cls, directory: Path, exposure_ids: list[str]) -> Self | None:
        """Read the truth of some exposures; None where the dataset has none.

        Raises:
            DatasetError: If an older simulator wrote the dataset, without `POSITIONS_FILE`.
        """
        if not cls.is_in(directory):
            return None
        rows = scan_parquet([directory / TRUTH_FILE])
        frame = rows.filter(pl.col("exposure_id").is_in(exposure_ids)).collect()
        if frame.is_empty():
            return None
        # Lists of all exposures behind each other, parted again at the ends of each.
        ends = np.cumsum(frame["sale_ids"].list.len().to_numpy())[:-1]
        keys = keys_for(frame["sale_ids"].explode())
        columns = (frame[name].explode().cast(pl.Float64) for name in ("truth", "knowable"))
        parts = zip(
            frame["exposure_id"].to_list(),
            np.split(keys, ends),
            *(np.split(column.to_numpy(), ends) for column in columns),
            strict=True,
        )
        visits = {exposure: (keys, truth, knowable) for exposure, keys, truth, knowable in parts}
        positions = directory / POSITIONS_FILE
        if not positions.is_file():
            reason = f"{directory} holds {TRUTH_FILE} without {POSITIONS_FILE}: simulate it again"
            fault = Fault(file=POSITIONS_FILE, code=FaultCode.MISSING_FILE, reason=reason)
            raise DatasetError(FaultReport.from_faults([fault]))
        examined = read_parquet(positions).sort("position")["examined"].to_numpy()
        return cls(visits, examined)

    def of(self, exposure_id: str | None, catalogue: Catalogue) -> VisitTruth | None:
        """Return the probabilities of an exposure, None without any."""
        found = self.visits.get(exposure_id) if exposure_id else None
        if found is None:
            return None
        keys, truth, knowable = found
        rows = catalogue.rows_for(keys)
        return VisitTruth(_spread(truth, rows, catalogue), _spread(knowable, rows, catalogue))


def _spread(
    values: NDArray[np.float64], rows: NDArray[np.int64], catalogue: Catalogue
) -> NDArray[np.float64]:
    # Sales that the catalogue does not know have row -1.
    spread = np.full(len(catalogue), np.nan)
    spread[rows[rows >= 0]] = values[rows >= 0]
    return spread
