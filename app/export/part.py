"""Parts of an export: atomically written files with the positions of the streams."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from app.stores.stream import Cursors
from models.arrays.atomic_file import atomic_file
from models.arrays.parquet import read_parquet
from models.domain.errors import UserError

PARTS: Final = "parts"

# A corrupt file can make polars panic, which is not an Exception.
_UNREADABLE: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_CURSORS: Final = "vitrine.cursors"
_CURSORS_JSON: Final = TypeAdapter(dict[int, str])


class ExportError(UserError):
    """A directory that cannot be exported to."""


def list_parts(directory: Path, name: str) -> list[Path]:
    """Return the parts of a table, the oldest first."""
    return sorted(directory.glob(f"{name}-*.parquet"))


def part_path(directory: Path, name: str, *, number: int) -> Path:
    """Return the path of a part."""
    return directory / f"{name}-{number:06d}.parquet"


def part_number(part: Path) -> int:
    """Return the number of a part."""
    return int(part.stem.rpartition("-")[2])


def is_written(path: Path) -> bool:
    """Tell whether a table has the form in which an export writes it."""
    return path.suffix == ".parquet" and not path.is_dir()


def write_table(path: Path, frame: pl.DataFrame, *, cursors: Cursors | None = None) -> None:
    """Write a file atomically, with ``fsync``.

    Raises:
        ExportError: If it cannot be written, as on a full disk.
    """
    metadata = (
        {_CURSORS: _CURSORS_JSON.dump_json(dict(cursors)).decode()} if cursors is not None else None
    )
    try:
        with atomic_file(path) as file:
            frame.write_parquet(file, metadata=metadata)
    except (pl.exceptions.PolarsError, OSError) as exc:
        msg = (
            f"{path} cannot be written: {exc}; nothing is lost: make room, and export again to the "
            f"same directory, whose `{PARTS}` hold what the store no longer has"
        )
        raise ExportError(msg) from exc


def read_cursors(part: Path) -> Cursors:
    """Return the positions of the streams at the end of a part.

    Raises:
        ExportError: If no export wrote the file.
        PolarsError: If it is damaged; see `damage_named`.
    """
    metadata = pl.read_parquet_metadata(part)
    try:
        return _CURSORS_JSON.validate_json(metadata[_CURSORS])
    except (KeyError, ValidationError) as exc:
        msg = (
            f"{part} does not say where it ends: it was not written by an export; move it out of "
            f"{part.parent}, and export again"
        )
        raise ExportError(msg) from exc


@contextmanager
def damage_named(out: Path) -> Generator[None]:
    """Name the damaged part where the parts of a directory cannot be read.

    Raises:
        ExportError: If a part is damaged, with what is lost and what to do.
    """
    try:
        yield
    except _UNREADABLE:
        for part in sorted((out / PARTS).glob("*-[0-9]*.parquet")):
            _require_readable(part, out)
        raise


def _require_readable(part: Path, out: Path) -> None:
    try:
        read_parquet(part)
    except _UNREADABLE as exc:
        table = out / f"{part.stem.rpartition('-')[0]}.parquet"
        msg = (
            f"{part} is damaged: {str(exc).splitlines()[0]}. Restore it from a backup, or copy "
            f"{table} and move the part out of {part.parent}, and export again: rows of the part "
            "are then in the copy alone, up to the last export that ended well"
        )
        raise ExportError(msg) from exc
