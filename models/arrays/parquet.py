"""Parquet reader for literal paths, in which polars would expand patterns."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a file whose path may contain brackets, stars and question marks.

    Args:
        path: One file.

    Returns:
        Its rows.

    Raises:
        PolarsError: If it is no Parquet file.
        PanicException: If it is corrupt in a way that polars panics on; not an `Exception`.
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return pl.read_parquet(file)


def scan_parquet(paths: Sequence[Path]) -> pl.LazyFrame:
    """Open files lazily; see `read_parquet`.

    Args:
        paths: Files in the order in which they were written, at least one. Those of earlier
            versions may lack columns of the last one, and fields of its structs: both are null.
    """
    # Absolute: polars would expand a leading tilde.
    absolute = [path.absolute() for path in paths]
    with absolute[-1].open("rb") as file:
        schema = pl.read_parquet_schema(file)
    return pl.scan_parquet(
        absolute,
        glob=False,
        schema=schema,
        missing_columns="insert",
        cast_options=pl.ScanCastOptions(missing_struct_fields="insert"),
    )
