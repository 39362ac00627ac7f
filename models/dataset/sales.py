"""Reads the sales of a dataset: validated values, and pictures that lie below ``images/``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self, cast

import polars as pl

from models.column import MAX_MARKETS
from models.dataset.checks import Check, find_faults, given, without_refused
from models.dataset.conversion import convert
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.dataset.pictures import find_pictures
from models.dataset.schema import MAX_ATTRIBUTES, SALES, Kind
from models.dataset.tables import Table
from models.events import from_us
from models.sale import COVER, Sale

IMAGES: Final = "images"
_NAMES: Final = tuple(column.name for column in SALES)
_TIMES: Final = tuple(column.name for column in SALES if column.kind is Kind.TIME)
_BOOLEANS: Final = ["true", "false"]


@dataclass(frozen=True, slots=True, eq=False)
class SalesFile:
    """What a file of sales holds.

    Attributes:
        sales: Its accepted sales, in the order of the file.
        images: Existing pictures below ``images/`` by sale id and number; the cover is 1.
        times: Per accepted sale ``sale_id, opens_us, closes_us, markets``, null where unknown;
            None if the file cannot be used.
        faults: What is wrong with the file.
    """

    sales: tuple[Sale, ...]
    images: Mapping[str, Mapping[int, Path]]
    times: pl.DataFrame | None
    faults: FaultReport

    @classmethod
    def unusable(cls, faults: FaultReport) -> Self:
        """Return what is known of a file that cannot be used."""
        return cls((), {}, None, faults)

    def with_fault(self, fault: Fault) -> Self:
        """Return the same sales with one fault more."""
        return replace(self, faults=FaultReport.together([self.faults, FaultReport.of([fault])]))


def read_sales(
    table: Table, images: Path, *, on_decoded: Callable[[int, int], None] | None = None
) -> SalesFile:
    """Validate the rows of a file of sales.

    Args:
        table: The file as it stands.
        images: The folder that pictures must lie in.
        on_decoded: See `find_pictures`.
    """
    frame, faults = convert(table, SALES)
    extra = [name for name in table.columns if name not in _NAMES]
    faults = FaultReport.together([faults, FaultReport.of(_extra_faults(table, extra))])
    if faults.unusable():
        return SalesFile.unusable(faults)
    usable = [name for name in extra if _can_be_attribute(table.dtype(name))]
    frame = frame.with_columns(
        _attribute(frame[given(name)], typed=table.typed).alias(_read(name)) for name in usable
    )
    faults = FaultReport.together([faults, find_faults(frame, _ROW_CHECKS, file=table.file)])
    frame = without_refused(frame, faults, file=table.file)
    faults = FaultReport.together([faults, FaultReport.of(_too_many_markets(frame, table.file))])
    if faults.unusable():
        return SalesFile.unusable(faults)
    pictures = find_pictures(frame, images, file=table.file, on_decoded=on_decoded)
    faults = FaultReport.together([faults, pictures.faults])
    sales = tuple(_sale(row, usable, pictures.paths) for row in frame.iter_rows(named=True))
    return SalesFile(sales, pictures.paths, _times(frame), faults)


def _extra_faults(table: Table, extra: list[str]) -> list[Fault]:
    if len(extra) > MAX_ATTRIBUTES:
        reason = f"has {len(extra)} columns beyond the contract, at most {MAX_ATTRIBUTES} are kept"
        return [Fault(file=table.file, code=FaultCode.TOO_MANY_COLUMNS, reason=reason)]
    return [
        Fault(
            file=table.file,
            column=name,
            code=FaultCode.UNKNOWN_COLUMN,
            reason=f"column {name!r} of type {table.dtype(name)} cannot be an attribute",
        )
        for name in extra
        if not _can_be_attribute(table.dtype(name))
    ]


def _too_many_markets(frame: pl.DataFrame, file: str) -> list[Fault]:
    n_markets = frame["markets"].explode().drop_nulls().n_unique()
    if n_markets < MAX_MARKETS:
        return []
    reason = (
        f"names {n_markets} markets in all its rows, at most {MAX_MARKETS - 1} can be told apart"
    )
    code = FaultCode.TOO_MANY_MARKETS_TOGETHER
    return [Fault(file=file, column="markets", code=code, reason=reason)]


def _read(name: str) -> str:
    """Return the column of an attribute's values; those given stay for the quarantine."""
    return f"\x00attribute {name}"


def _can_be_attribute(dtype: pl.DataType) -> bool:
    return not dtype.is_nested() and dtype != pl.Binary and dtype != pl.Object


def _attribute(column: pl.Series, *, typed: bool) -> pl.Series:
    """Make numbers floats, and of untyped text what all of it can be read as."""
    if column.dtype.is_numeric():
        return column.cast(pl.Float64).fill_nan(None)
    if column.dtype == pl.Boolean:
        return column
    text = column.cast(pl.String)
    if typed:
        return text
    if text.drop_nulls().is_in(_BOOLEANS).all():
        return text == "true"
    numbers = text.cast(pl.Float64, strict=False)
    return text if numbers.null_count() > text.null_count() else numbers.fill_nan(None)


def _sale(
    row: Mapping[str, object], attributes: list[str], pictures: Mapping[str, Mapping[int, Path]]
) -> Sale:
    values = {name: row[name] for name in _NAMES if name not in _TIMES}
    named = cast("list[str]", row["image"] or [])
    times = {name: from_us(us) for name in _TIMES if isinstance(us := row[name], int)}
    image = named[0] if COVER in pictures.get(str(row["sale_id"]), {}) else None
    extra = {name: row[_read(name)] for name in attributes}
    return Sale.model_validate({**values, **times, "image": image, "attributes": extra})


def _times(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("sale_id", "markets", opens_us="opens_at", closes_us="closes_at")


_ROW_CHECKS: Final = (
    Check(
        FaultCode.DUPLICATE_SALE,
        "sale_id",
        pl.col("sale_id").is_not_null() & ~pl.col("sale_id").is_first_distinct(),
        "be unique; an earlier row has it",
    ),
    Check(
        FaultCode.CLOSES_BEFORE_OPENING,
        "closes_at",
        pl.col("closes_at") <= pl.col("opens_at"),
        "be after opens_at",
    ),
)
