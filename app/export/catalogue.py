"""Exports the sales of the store as table ``sales`` of a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import polars as pl

from app.errors import MAX_NAMED
from app.export.history import keep_aside, refuse_faulty
from app.export.part import ExportError, is_written, write_table
from app.observability import get_logger
from app.stores.sale import SaleStore
from models.catalogue.attributes import attribute_text
from models.dataset.sales import IMAGES, read_sales
from models.dataset.schema import MAX_ATTRIBUTES, SALES, Kind
from models.dataset.tables import read_table, table_path
from models.domain.sale import AttributeValue, Sale

NAME: Final = "sales"

_log = get_logger(__name__)

_TYPES: Final = {
    Kind.IDENTIFIER: pl.String(),
    Kind.TEXT: pl.String(),
    Kind.NUMBER: pl.Float64(),
    Kind.WHOLE: pl.Int64(),
    Kind.TIME: pl.Datetime("us", "UTC"),
    Kind.MARKET: pl.String(),
    Kind.MARKETS: pl.List(pl.String),
    Kind.PICTURES: pl.List(pl.String),
}
_SCHEMA: Final = {column.name: _TYPES[column.kind] for column in SALES}


@dataclass(frozen=True)
class _Known:
    """Sales of the directory and the paths of their pictures, by sale id."""

    sales: Mapping[str, Sale]
    images: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, path: Path) -> Self:
        folder = path.parent / IMAGES
        found = read_sales(read_table(path), folder)
        if found.faults.unusable():
            msg = f"{path} cannot be used: see `python -m training validate --data {path.parent}`"
            raise ExportError(msg)
        refuse_faulty(found.faults, path)
        root = folder.resolve()
        images = {
            sale_id: [each[number].relative_to(root).as_posix() for number in sorted(each)]
            for sale_id, each in found.images.items()
        }
        return cls({sale.sale_id: sale for sale in found.sales}, images)


async def export_sales(store: SaleStore, out: Path, *, parts: Path) -> int:
    """Update the sales of a directory from the store.

    Sales that the store no longer has stay, as events name them. Pictures of the directory stay.
    A file that would not change is not written.

    A replaced file that no export wrote goes to ``parts``. Returns the number of sales in the
    directory.

    Raises:
        DatasetError: If the sales of the directory cannot be used.
        ExportError: If some of them would be lost.
        StoreUnavailableError: If the store does not answer; run it again.
    """
    stored = {sale.sale_id: sale for sale in (await store.changes(0)).sales}
    path = table_path(out, NAME)
    known = _Known.read(path) if path else _Known({}, {})
    if path and all(known.sales.get(sale_id) == sale for sale_id, sale in stored.items()):
        return len(known.sales)
    sales = {**known.sales, **stored}
    table = sale_table([*sales.values()], images=known.images)
    if path is not None and not is_written(path):
        keep_aside(path, parts)
    write_table(out / f"{NAME}.parquet", table)
    return len(sales)


def sale_table(sales: Sequence[Sale], *, images: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Return sales under the dataset contract's names, attributes as further columns.

    Args:
        sales: The sales.
        images: Paths below ``images/`` by sale id; for other sales the path that the sale names.

    Returns:
        A row a sale. Beyond the number of attributes of a dataset, those of the oldest sales are
        left out and named in the log: a directory keeps sales that the store no longer has.
    """
    rows = [
        {
            **sale.model_dump(exclude={"attributes"}),
            "image": images.get(sale.sale_id) or ([sale.image] if sale.image else None),
        }
        for sale in sales
    ]
    names = _kept_attributes(sales)
    attributes = [_attribute(name, [one.attributes.get(name) for one in sales]) for name in names]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").with_columns(attributes)


def _kept_attributes(sales: Sequence[Sale]) -> list[str]:
    last: dict[str, datetime] = {}
    for sale in sales:
        for name in sale.attributes:
            last[name] = max(last.get(name, sale.opens_at), sale.opens_at)
    newest_first = sorted(sorted(last), key=lambda name: last[name], reverse=True)
    if left_out := newest_first[MAX_ATTRIBUTES:]:
        _log.warning(
            "a dataset has no columns for all attributes: those of the oldest sales are left out",
            limit=MAX_ATTRIBUTES,
            n_left_out=len(left_out),
            such_as=left_out[:MAX_NAMED],
        )
    return sorted(newest_first[:MAX_ATTRIBUTES])


def _attribute(name: str, values: Sequence[AttributeValue]) -> pl.Series:
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return pl.Series(name, values, dtype=pl.Boolean)
    if any(isinstance(value, bool | str) for value in given):
        return pl.Series(name, [*map(attribute_text, values)], dtype=pl.String)
    return pl.Series(name, values, dtype=pl.Float64)
