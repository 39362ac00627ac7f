"""Lists of a night reach the store, and what a customer takes of it."""

from pathlib import Path
from typing import Final, cast

import polars as pl
import pytest

from app.cli.console import Progress
from app.cli.load_lists import DEFAULT_SALES, load_lists
from app.stores.connection import Connection
from app.stores.keys import CustomerKeys
from app.stores.store import Stores
from models.dataset.list_folder import ListFolder
from models.domain.event import key

# The embedded server takes 320 for an id of 19 characters and 248 bytes of a list (2026-11-30).
MAX_BYTES: Final = 340


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


@pytest.fixture
async def stores(connection: Connection) -> Stores:
    return Stores.over(connection)


def folder_of(folder: Path, customers: list[str], *, at_us: int, n_sales: int) -> ListFolder:
    """Write lists of sales s1, s2, … in this order."""
    rows = [(c, rank, f"s{rank}") for c in customers for rank in range(1, n_sales + 1)]
    frame = pl.DataFrame(rows, schema=["customer_id", "rank", "sale_id"], orient="row")
    (folder / "parts").mkdir(parents=True)
    frame.write_parquet(folder / "parts" / "00000.parquet")
    return ListFolder(folder, "b1", at_us, 1, len(customers))


async def test_customers_have_the_first_sales_of_their_lists(
    stores: Stores, tmp_path: Path
) -> None:
    now_us = await stores.server.time_us()
    customers = [f"c{number}" for number in range(450)]  # of three pipelines
    folder = folder_of(tmp_path, customers, at_us=now_us, n_sales=5)

    counted = await load_lists(folder, stores, top=3, progress=Progress())

    assert counted == {"customers": 450, "erased": 0}
    for customer in ("c0", "c449"):
        state = await stores.customers.read(customer)
        assert state.listed.at_us == now_us
        assert state.listed.sale_keys.tolist() == [key("s1"), key("s2"), key("s3")]


async def test_lists_of_customers_who_were_erased_since_are_counted_and_left_out(
    stores: Stores, tmp_path: Path
) -> None:
    now_us = await stores.server.time_us()
    await stores.customers.erase("c1")
    folder = folder_of(tmp_path, ["c0", "c1"], at_us=now_us, n_sales=2)

    counted = await load_lists(folder, stores, top=2, progress=Progress())

    assert counted == {"customers": 2, "erased": 1}
    assert len((await stores.customers.read("c1")).listed) == 0


async def test_a_later_load_replaces_a_list(stores: Stores, tmp_path: Path) -> None:
    now_us = await stores.server.time_us()
    for number, n_sales in enumerate((4, 2)):
        folder = folder_of(tmp_path / str(number), ["c0"], at_us=now_us + number, n_sales=n_sales)
        await load_lists(folder, stores, top=9, progress=Progress())

    listed = (await stores.customers.read("c0")).listed
    assert (len(listed), listed.at_us) == (2, now_us + 1)


async def test_a_list_takes_little_of_the_store(
    stores: Stores, connection: Connection, tmp_path: Path
) -> None:
    customer = "customer-0000000001"
    folder = folder_of(tmp_path, [customer], at_us=1, n_sales=DEFAULT_SALES)
    await load_lists(folder, stores, top=DEFAULT_SALES, progress=Progress())

    name = CustomerKeys.for_customer(customer).listed
    n_bytes = cast("int", await connection.execute("MEMORY", "USAGE", name, doing="looking"))
    assert n_bytes <= MAX_BYTES
