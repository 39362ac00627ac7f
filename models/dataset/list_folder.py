"""Folder of lists, as ``python -m training batch-score`` writes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from models.arrays.parquet import read_parquet
from models.domain.errors import UserError, reason_for

SUMMARY_FILE: Final = "lists.json"
"""Written last: a folder without it is not complete."""

PARTS: Final = "parts"


class ListFolderError(UserError):
    """A folder without complete lists."""


class _Summary(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    bundle: str
    at_us: int
    parts: int
    customers: int
    sale: str | None


FORMAT: Final = 1
"""Version of the files."""


@dataclass(frozen=True, slots=True)
class ListFolder:
    """Complete lists of customers.

    Attributes:
        directory: The folder.
        bundle_id: The bundle that scored.
        at_us: The moment of the lists, microseconds since the epoch.
        n_parts: Number of files.
        n_customers: Number of customers with a list.
    """

    directory: Path
    bundle_id: str
    at_us: int
    n_parts: int
    n_customers: int

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the summary of a folder.

        Raises:
            ListFolderError: If it is not complete, of another version, or of the customers of a
                sale.
        """
        path = directory / SUMMARY_FILE
        try:
            found = _Summary.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as exc:
            msg = (
                f"{directory} holds no complete lists ({reason_for(exc)}): make them with"
                " `python -m training batch-score`"
            )
            raise ListFolderError(msg) from exc
        if found.format != FORMAT:
            msg = f"{path} is of format {found.format}, and this software reads {FORMAT}"
            raise ListFolderError(msg)
        if found.sale is not None:
            msg = f"{directory} holds the customers of sale {found.sale!r}, and no lists"
            raise ListFolderError(msg)
        return cls(directory, found.bundle, found.at_us, found.parts, found.customers)

    def parts(self, *, top: int) -> Iterator[pl.DataFrame]:
        """Yield ``customer_id`` and the list of ``sale_id`` of each file's customers, by rank.

        Args:
            top: Sales of a list at most.

        Raises:
            ListFolderError: If a file cannot be read.
        """
        for part in range(self.n_parts):
            path = self.directory / PARTS / part_file(part)
            try:
                frame = read_parquet(path)
                best = frame.filter(pl.col("rank") <= top)
                yield best.group_by("customer_id", maintain_order=True).agg("sale_id")
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
                msg = f"{path} cannot be read as lists: {str(exc).splitlines()[0]}"
                raise ListFolderError(msg) from exc


def part_file(part: int) -> str:
    """Return the name of a part's file."""
    return f"{part:05}.parquet"
