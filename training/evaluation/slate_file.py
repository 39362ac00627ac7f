"""File of evaluated slates: each candidate with its scores, ranks and outcome, as Parquet."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.parquet import scan_parquet
from training.evaluation.protocol import Protocol, RankedSlate

_ROWS_AT_ONCE: Final = 200_000  # of some fifty columns: about 80 MB; chosen


class SlateFile:
    """Collects ranked slates in parts of a folder."""

    def __init__(self, folder: Path) -> None:
        """Begin without slates; the parts are written to ``folder``, which has to be empty."""
        self._folder = folder
        self._frames = list[pl.DataFrame]()
        self._n_rows = 0
        self._parts = list[Path]()

    def add(self, protocol: Protocol, slate: RankedSlate) -> None:
        """Add the candidates of a slate."""
        query, outcome = slate.query, slate.outcome
        columns: dict[str, NDArray[np.generic]] = {"bought": outcome.bought, "paid": outcome.paid}
        if outcome.clicked is not None:
            columns["clicked"] = outcome.clicked
        if outcome.gains is not None:
            columns["true_probability"] = outcome.gains
        for name, ranking in slate.rankings.items():
            ranks = np.empty(len(ranking), dtype=np.int64)
            ranks[ranking] = np.arange(1, len(ranking) + 1)
            columns[f"rank_{name}"] = ranks
        for name, order in slate.orders.items():
            columns[f"score_{name}"] = np.where(np.isfinite(order), order, np.nan)
        rows: list[int] = query.rows.tolist()
        sales = [query.catalogue.sales[row].sale_id for row in rows]
        named = pl.DataFrame({"sale_id": sales}, schema={"sale_id": pl.String}).select(
            protocol=pl.lit(protocol.value),
            slate=pl.lit(slate.key.name),
            customer_id=pl.lit(slate.key.customer_id),
            # A query's moment is the microsecond before its slate.
            at=pl.lit(query.context.now_us + 1).cast(pl.Datetime("us", "UTC")),
            sale_id="sale_id",
        )
        # A sale that a scorer does not know has no score, and not the lowest one.
        self._frames.append(named.hstack(pl.DataFrame(columns, nan_to_null=True)))
        self._n_rows += len(sales)
        if self._n_rows > _ROWS_AT_ONCE:
            self._write_part()

    def write(self, path: Path) -> None:
        """Write all parts to one file; nothing without a slate."""
        self._write_part()
        if self._parts:
            # Parts differ in columns: only some have true probabilities, or scores of the user.
            parts = [scan_parquet([part]) for part in self._parts]
            pl.concat(parts, how="diagonal").sink_parquet(path)

    def _write_part(self) -> None:
        if self._frames:
            self._parts.append(self._folder / f"{len(self._parts)}.parquet")
            pl.concat(self._frames, how="diagonal").write_parquet(self._parts[-1])
            self._frames, self._n_rows = [], 0


@contextmanager
def slate_file(path: Path) -> Generator[SlateFile]:
    """Collect slates while the block runs, then write them to a file; not after an error."""
    with TemporaryDirectory() as folder:
        slates = SlateFile(Path(folder))
        yield slates
        slates.write(path)
