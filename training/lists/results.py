"""Results of a list run: the summary, the customers of a sale, and CSV for e-mail tools."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final
from urllib.parse import quote

import polars as pl
from pydantic import JsonValue

from models.arrays.atomic_file import atomic_file, write_file
from models.arrays.parquet import read_parquet
from models.dataset.list_folder import SUMMARY_FILE
from models.domain.sale import Sale
from training.lists.list_run import STRANGERS, ListRun
from training.lists.tasks import ListsError, parquet_bytes

AUDIENCE_FILE: Final = "audience.parquet"
"""The customers of one sale, the likeliest first."""

CSV_SALES: Final = 10
"""Sales of a customer in a file for e-mail tools; issue 19 names the number."""


def _read(run: ListRun, path: Path) -> pl.DataFrame:
    try:
        return read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as exc:
        reason = str(exc).splitlines()[0]
        summary = run.out / SUMMARY_FILE
        msg = (
            f"{path} is damaged: {reason}: remove it and {summary}, and give the command again; "
            "all other files of these lists are kept"
        )
        raise ListsError(msg) from exc


def summarised(run: ListRun) -> dict[str, JsonValue]:
    """Return the figures of a run, and write the customers of its sale.

    Raises:
        ListsError: If a file is damaged.
        OSError: If a file cannot be read or written.
    """
    if run.sale_id is not None:
        return _audience(run)
    n_customers, n_rows = 0, 0
    for part in range(run.n_parts):
        frame = _read(run, run.result(part))
        n_customers, n_rows = n_customers + frame["customer_id"].n_unique(), n_rows + frame.height
    strangers = _read(run, run.result(STRANGERS))
    n_lists = strangers.select("market", "device").unique().height
    return {"customers": n_customers, "rows": n_rows, "strangers": n_lists}


def _audience(run: ListRun) -> dict[str, JsonValue]:
    best = pl.DataFrame()
    n_customers, expected = 0, 0.0
    for part in range(run.n_parts):
        frame = _read(run, run.result(part))
        n_customers += frame.height
        expected += float(frame["purchase_probability"].to_numpy().sum())
        # No more than two parts at once, however many customers there are.
        best = pl.concat([best, frame] if best.width else [frame])
        best = best.sort(["purchase_probability", "customer_id"], descending=[True, False])
        best = best.head(run.top)
    write_file(run.out / AUDIENCE_FILE, parquet_bytes(best))
    return {
        "customers": best.height,
        "expected_purchases": float(best["purchase_probability"].to_numpy().sum()),
        "all_customers": n_customers,
        "all_expected_purchases": expected,
    }


def write_csv(run: ListRun, sales: Iterable[Sale], *, path: Path, link: str) -> None:
    """Write a CSV file for e-mail tools, a line a customer.

    Args:
        run: A complete run.
        sales: The sales of its dataset.
        path: The file.
        link: Address of a sale, with ``{sale_id}`` in place of its id.

    Raises:
        ListsError: If a file is damaged.
        OSError: If a file cannot be read or written.
    """
    lines = _of_sale(run) if run.sale_id is not None else _of_customers(run, sales, link=link)
    with atomic_file(path) as file:
        for line in lines:
            file.write(_csv(line))


def _of_sale(run: ListRun) -> Iterator[list[str]]:
    yield ["customer_id", "purchase_probability"]
    frame = _read(run, run.out / AUDIENCE_FILE)
    for customer_id, probability in frame.select("customer_id", "purchase_probability").iter_rows():
        yield [customer_id, repr(probability)]


def _of_customers(run: ListRun, sales: Iterable[Sale], *, link: str) -> Iterator[list[str]]:
    known = {one.sale_id: one for one in sales}
    names = ("sale", "title", "price", "currency", "link")
    numbers = range(1, CSV_SALES + 1)
    yield ["customer_id", *(f"{name}_{number}" for number in numbers for name in names)]
    for part in range(run.n_parts):
        frame = _read(run, run.result(part)).filter(pl.col("rank") <= CSV_SALES)
        rows = frame.select("customer_id", "sale_id").iter_rows()
        for customer_id, of_customer in groupby(rows, key=lambda row: row[0]):
            shown = [_described(known[sale_id], link) for _, sale_id in of_customer]
            line = [customer_id, *(text for one in shown for text in one)]
            yield line + [""] * ((CSV_SALES - len(shown)) * len(names))


def _described(sale: Sale, link: str) -> list[str]:
    price = "" if sale.price is None else f"{sale.price:.2f}"
    address = link.replace("{sale_id}", quote(sale.sale_id, safe=""))
    return [sale.sale_id, sale.title or "", price, sale.currency or "", address]


def _csv(line: list[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(line)
    return text.getvalue().encode()
