"""Sales reader: the validated sales of a dataset, and their pictures below ``images/``."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, cast

import polars as pl

from models.dataset.attributes import read_attributes, unused_columns
from models.dataset.checks import Check, find_faults, without_refused
from models.dataset.conversion import convert
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.pictures import find_pictures
from models.dataset.schema import MAX_ATTRIBUTES, SALES, Kind
from models.dataset.tables import Table
from models.domain.event import from_us
from models.domain.sale import COVER, MAX_MARKETS, Sale

IMAGES: Final = "images"
_NAMES: Final = tuple(column.name for column in SALES)
_TIMES: Final = tuple(column.name for column in SALES if column.kind is Kind.TIME)


@dataclass(frozen=True, slots=True, eq=False)
class SalesFile:
    """Content of a sales file.

    Attributes:
        sales: Its accepted sales, in the order of the file.
        images: Existing pictures below ``images/`` by sale id and number; the cover is 1.
        times: Per accepted sale ``sale_id, opens_us, closes_us, markets``, null where unknown;
            None if the file cannot be used.
        faults: Faults of the file.
    """

    sales: tuple[Sale, ...]
    images: Mapping[str, Mapping[int, Path]]
    times: pl.DataFrame | None
    faults: FaultReport

    @classmethod
    def unusable(cls, faults: FaultReport) -> Self:
        """Return the empty content of an unusable file."""
        return cls((), {}, None, faults)


def read_sales(
    table: Table, images: Path, *, on_decoded: Callable[[int, int], None] | None = None
) -> SalesFile:
    """Validate the rows of a sales file.

    Args:
        table: The unconverted table.
        images: The folder of pictures.
        on_decoded: See `find_pictures`.
    """
    frame, faults = convert(table, SALES)
    attributes = read_attributes(table, _NAMES, most=MAX_ATTRIBUTES)
    faults += attributes.faults
    faults += FaultReport.from_faults(
        [
            table.fault(
                FaultCode.NOT_LEARNED,
                f"attribute {name!r} {why}: it is kept with the sales, no model reads it",
                column=name,
            )
            for name, why in unused_columns(attributes.columns, table="sales").items()
        ]
    )
    if faults.unusable():
        return SalesFile.unusable(faults)
    frame = frame.with_columns(
        values.alias(_read(name)) for name, values in attributes.columns.items()
    )
    faults += find_faults(frame, _ROW_CHECKS, file=table.file)
    frame = without_refused(frame, faults, file=table.file)
    # One bit of a word each, see `models.catalogue.columns.Markets`.
    n_markets = frame["markets"].explode().drop_nulls().n_unique()
    if n_markets > MAX_MARKETS:
        reason = f"names {n_markets} markets in all its rows, at most {MAX_MARKETS} are supported"
        fault = table.fault(FaultCode.TOO_MANY_MARKETS_TOGETHER, reason, column="markets")
        return SalesFile.unusable(faults + FaultReport.from_faults([fault]))
    pictures = find_pictures(frame, images, file=table.file, on_decoded=on_decoded)
    faults += pictures.faults
    # Without the unconverted columns: Python has no dates after the year 9999.
    rows = frame.select(*_NAMES, *map(_read, attributes.columns)).iter_rows(named=True)
    sales = tuple(_sale(row, attributes.columns, pictures.paths) for row in rows)
    times = frame.select("sale_id", "markets", opens_us="opens_at", closes_us="closes_at")
    return SalesFile(sales, pictures.paths, times, faults)


def _read(name: str) -> str:
    # The column of an attribute's converted values; no column of a file can have this name.
    return f"\x00attribute {name}"


def _sale(
    row: Mapping[str, object],
    attributes: Iterable[str],
    pictures: Mapping[str, Mapping[int, Path]],
) -> Sale:
    values = {name: row[name] for name in _NAMES if name not in _TIMES}
    named = cast("list[str]", row["image"] or [])
    times = {name: from_us(us) for name in _TIMES if isinstance(us := row[name], int)}
    image = named[0] if COVER in pictures.get(str(row["sale_id"]), {}) else None
    extra = {name: row[_read(name)] for name in attributes}
    return Sale.model_validate({**values, **times, "image": image, "attributes": extra})


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
