"""Part files of a table: one file, or a folder of parts as Spark writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

PARQUET: Final = (".parquet",)
CSV: Final = (".csv", ".csv.gz")
SUFFIXES: Final = (*PARQUET, *CSV)

# Prefixes of files that are not parts: Spark writes `_SUCCESS` and `.part-0.crc`.
_HIDDEN: Final = ("_", ".")

_LAKES: Final = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata": "Iceberg"}
# Hive's name of the folder of rows whose partition column is null.
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"


class UnreadableFolderError(ValueError):
    """A folder that is not a table of Parquet or CSV parts."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a table.

    Attributes:
        path: The file.
        name: Path below the table's folder; the name of the file for a table of one file.
        values: Values of Hive partitions, as in ``day=2026-11-01/``.
    """

    path: Path
    name: str
    values: Mapping[str, str | None]


def is_csv(path: Path) -> bool:
    """Return whether a file is read as CSV; any other is read as Parquet."""
    return path.name.lower().endswith(CSV)


def parts_in(path: Path, *, kinds: Sequence[tuple[str, ...]] = (PARQUET, CSV)) -> list[Part]:
    """Return the files of a table, in the order of their names.

    Args:
        path: A file, or a folder of files that all are of one kind. Names with a leading dot or
            underscore are ignored, and so are empty files other than Parquet, which Spark writes
            for empty partitions.
        kinds: Suffixes of each kind of files that is read.

    Raises:
        UnreadableFolderError: If the folder holds anything else, or no part.
    """
    if not path.is_dir():
        return [Part(path, path.name, {})]
    for name, kind in _LAKES.items():
        if (path / name).exists():
            msg = f"is a table of {kind}, whose folder holds removed rows too: write it as Parquet"
            raise UnreadableFolderError(msg)
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and not any(name.startswith(_HIDDEN) for name in file.relative_to(path).parts)
    )
    _require_one_kind(files, kinds)
    parts: list[Part] = []
    for file in files:
        if not file.name.lower().endswith(PARQUET) and not file.stat().st_size:
            continue
        below = file.relative_to(path)
        pairs = [name.partition("=") for name in below.parts[:-1] if "=" in name]
        values = {key: None if text == _NO_VALUE else unquote(text) for key, _, text in pairs}
        parts.append(Part(file, below.as_posix(), values))
    return parts


def _require_one_kind(files: list[Path], kinds: Sequence[tuple[str, ...]]) -> None:
    if not files:
        msg = "is a folder without a part: no file in it is Parquet or CSV"
        raise UnreadableFolderError(msg)
    found = {
        file: next((kind for kind in kinds if file.name.lower().endswith(kind)), None)
        for file in files
    }
    if other := [file.name for file, kind in found.items() if kind is None]:
        known = ", ".join(suffix for kind in kinds for suffix in kind)
        msg = f"is a folder with {other[0]!r}, which is none of {known}: remove it"
        raise UnreadableFolderError(msg)
    if len(set(found.values())) > 1:
        msg = "is a folder with parts of several kinds, such as Parquet and CSV: keep those of one"
        raise UnreadableFolderError(msg)
