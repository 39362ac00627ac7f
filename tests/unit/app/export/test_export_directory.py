"""An export leaves a directory that training reads: what was there, and what the store knows."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from app.export import PARTS, ExportError, export
from app.export.catalogue import sale_table
from app.stores.connection import Connection
from app.stores.customer import CustomerStore
from app.stores.sale import SaleStore
from app.stores.server import StoreServer
from models.arrays.parquet import read_parquet
from models.dataset import DatasetError, read_dataset
from models.domain.sale import Sale
from tests.contract.visit import event
from tests.datasets import EVENT, SALE, write_csv, write_dataset
from tests.datasets import event as row
from tests.datasets import sale as sale_row

OPENED = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


def stored(sale_id: str, **fields: object) -> Sale:
    return Sale.model_validate({"sale_id": sale_id, "opens_at": OPENED, **fields})


def event_ids(out: Path) -> list[str]:
    return read_parquet(out / "events.parquet")["event_id"].to_list()


async def posted(connection: Connection, event_id: str, sale_id: str = "s1") -> None:
    now_us = await StoreServer(connection).time_us()
    await CustomerStore(connection).append([event(event_id, at_us=now_us, sale_id=sale_id)])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
async def test_events_that_were_there_stand_beside_those_of_the_store(
    connection: Connection, tmp_path: Path, suffix: str
) -> None:
    write_dataset(tmp_path, events=[row(event_id="old", price="12.5", position="3")])
    if suffix == ".parquet":
        pl.DataFrame([EVENT | {"event_id": "old"}]).write_parquet(tmp_path / "events.parquet")
        (tmp_path / "events.csv").unlink()
    given = (tmp_path / f"events{suffix}").read_bytes()
    await posted(connection, "new")

    first = await export(connection, tmp_path)
    again = await export(connection, tmp_path)

    assert (first.adopted, first.events, first.total_events) == (1, 1, 2)
    assert (again.adopted, again.events, again.total_events) == (0, 0, 2)
    assert event_ids(tmp_path) == ["old", "new"]
    assert sorted(read_dataset(tmp_path, strict=True).events.event_ids) == ["new", "old"]
    assert (tmp_path / PARTS / f"given-events{suffix}").read_bytes() == given


async def test_an_erasure_reaches_what_was_there_before(
    connection: Connection, tmp_path: Path
) -> None:
    write_dataset(tmp_path, events=[row(event_id="his"), row(event_id="hers", customer_id="c2")])
    await CustomerStore(connection).erase("c1")

    summary = await export(connection, tmp_path)

    assert (summary.erased_events, event_ids(tmp_path)) == (1, ["hers"])


async def test_erasures_that_were_there_are_kept(connection: Connection, tmp_path: Path) -> None:
    earlier = {"customer_id": "c9", "erased_at": "2025-01-05T00:00:00Z"}
    write_dataset(tmp_path, events=[row(event_id="his", customer_id="c9"), row(event_id="other")])
    write_csv(tmp_path / "erasures.csv", [earlier])
    await CustomerStore(connection).erase("c1")

    summary = await export(connection, tmp_path)

    assert summary.erased_events == 2
    erased = pl.read_parquet(tmp_path / "erasures.parquet")["customer_id"].to_list()
    assert erased == ["c9", "c1"]


async def test_rows_that_would_be_lost_stop_an_export_before_it_takes_anything(
    connection: Connection, tmp_path: Path
) -> None:
    faulty = row(event_id="bad", at="yesterday")
    write_dataset(tmp_path, events=[EVENT, faulty])
    await posted(connection, "new")

    with pytest.raises(ExportError, match="1 rows would be left out; `python -m training validate"):
        await export(connection, tmp_path)

    (tmp_path / "events.csv").unlink()
    assert (await export(connection, tmp_path)).events == 1


async def test_a_run_that_died_while_it_took_over_history_is_resumed(
    connection: Connection, tmp_path: Path
) -> None:
    write_dataset(tmp_path, events=[row(event_id="old")])
    await export(connection, tmp_path)
    (tmp_path / "events.parquet").unlink()
    (tmp_path / PARTS / "given-events.csv").rename(tmp_path / "events.csv")

    summary = await export(connection, tmp_path)

    assert (summary.adopted, summary.total_events) == (0, 1)
    assert not (tmp_path / "events.csv").exists()


async def test_events_given_twice_over_are_ambiguous(
    connection: Connection, tmp_path: Path
) -> None:
    write_dataset(tmp_path)
    await export(connection, tmp_path)
    write_csv(tmp_path / "events.csv", [EVENT])

    with pytest.raises(DatasetError, match="keep one of the two"):
        await export(connection, tmp_path)


async def test_sales_of_the_store_are_read_as_a_dataset(
    connection: Connection, tmp_path: Path
) -> None:
    """Nothing but the API ever named them."""
    sales = [
        stored("s1", price=99.5, markets=("fr", "de"), stock=3, attributes={"stars": 4.0}),
        stored(
            "s2", title="Rome", closes_at=datetime(2025, 2, 1, tzinfo=UTC), attributes={"spa": True}
        ),
        stored("s3", attributes={"stars": 3.0, "board": "half"}),
    ]
    await SaleStore(connection).put(sales)
    await posted(connection, "e1", "s1")

    summary = await export(connection, tmp_path)

    dataset = read_dataset(tmp_path, strict=True)
    assert summary.sales == 3
    assert sorted(dataset.sales, key=lambda one: one.sale_id) == sales


async def test_what_the_store_says_of_a_sale_counts_and_pictures_and_old_sales_stay(
    connection: Connection, tmp_path: Path
) -> None:
    write_dataset(
        tmp_path,
        sales=[SALE | {"image": "a.jpg|b.jpg", "price": "10"}, sale_row(sale_id="gone", image="")],
    )
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).touch()
    await SaleStore(connection).put([stored("s1", price=8.0, image="a.jpg"), stored("s2")])

    summary = await export(connection, tmp_path)

    dataset = read_dataset(tmp_path)
    assert {one.sale_id: one.price for one in dataset.sales} == {
        "s1": 8.0,
        "gone": None,
        "s2": None,
    }
    assert [path.name for path in dataset.images["s1"].values()] == ["a.jpg", "b.jpg"]
    assert summary.sales == 3
    assert (tmp_path / PARTS / "given-sales.csv").exists()


async def test_sales_that_say_what_the_store_says_are_left_as_they_are(
    connection: Connection, tmp_path: Path
) -> None:
    write_dataset(tmp_path)
    given = (tmp_path / "sales.csv").read_bytes()
    await SaleStore(connection).put([stored("s1")])

    summary = await export(connection, tmp_path)

    assert (summary.sales, (tmp_path / "sales.csv").read_bytes()) == (1, given)
    assert not (tmp_path / "sales.parquet").exists()


def test_an_attribute_of_several_types_becomes_text() -> None:
    sales = [
        stored("s1", attributes={"x": 1.5}),
        stored("s2", attributes={"x": True}),
        stored("s3"),
    ]

    table = sale_table(sales, images={})

    assert table["x"].to_list() == ["1.5", "true", None]


async def test_attributes_that_only_old_sales_of_the_directory_have_make_room_for_new_ones(
    connection: Connection, tmp_path: Path
) -> None:
    """The directory keeps sales that the store no longer has: no export may stop for them."""
    sales = SaleStore(connection)
    full = {f"a{n}": n for n in range(100)}
    await sales.put([stored("s0", attributes=full, opens_at="2020-01-01T00:00:00Z")])
    await export(connection, tmp_path)
    await sales.delete("s0")
    await sales.put([stored("s1", attributes={"new": True, "a99": 1.0})])

    summary = await export(connection, tmp_path)

    table = pl.read_parquet(tmp_path / "sales.parquet")
    kept = set(table.columns)
    assert summary.sales == 2
    assert {"new", "a99", "a0"} <= kept
    assert "a98" not in kept


async def test_the_first_export_of_a_shop_is_a_whole_dataset_without_rows(
    connection: Connection, tmp_path: Path
) -> None:
    await export(connection, tmp_path)

    events, sales = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("events", "sales"))

    assert (events.height, sales.height) == (0, 0)
    assert {"event_id", "customer_id", "received_at"} <= set(events.columns)
    assert (await export(connection, tmp_path)).total_events == 0


async def test_a_sale_at_the_bounds_of_the_contract_is_exported_and_read_again(
    connection: Connection, tmp_path: Path
) -> None:
    extreme = stored(
        "s1",
        opens_at="1970-01-01T00:00:00Z",
        closes_at="9999-12-31T23:59:59.999999Z",
        stock=2**53,
        image="a|b/c d.jpg",
        title="two\nlines",
        attributes={"a" * 128: 1.0, " é.b ": 2.0, "text": "x" * 1_000},
    )
    await SaleStore(connection).put([extreme])
    await posted(connection, "e1")

    await export(connection, tmp_path)
    again = await export(connection, tmp_path)

    assert again.sales == 1
    (sale,) = read_dataset(tmp_path).sales
    assert sale == extreme.model_copy(update={"image": None})


async def test_a_folder_whose_name_is_a_pattern_is_a_folder_of_its_own(
    connection: Connection, tmp_path: Path
) -> None:
    """Polars reads `shop*` as every folder that begins with shop, if it is let."""
    names = ["shop", "shop [1]", "shop*", "shop?", "100%20#"]
    for n_run, name in enumerate(names):
        await posted(connection, f"e{n_run}")
        await export(connection, tmp_path / name)
        await CustomerStore(connection).erase("someone else")
        await export(connection, tmp_path / name)

    assert [event_ids(tmp_path / name) for name in names] == [[f"e{n}"] for n in range(len(names))]


@pytest.mark.parametrize("name", ["events", "events.parquet"])
async def test_a_folder_of_parts_that_was_there_becomes_history(
    connection: Connection, tmp_path: Path, name: str
) -> None:
    (write_dataset(tmp_path) / "events.csv").unlink()
    (tmp_path / name).mkdir()
    history = pl.DataFrame([EVENT | {"event_id": "old"}])
    history.write_parquet(tmp_path / name / "part-0.parquet")
    await posted(connection, "new")

    first = await export(connection, tmp_path)
    again = await export(connection, tmp_path)

    assert (first.adopted, again.adopted) == (1, 0)
    assert event_ids(tmp_path) == ["old", "new"]
    assert (tmp_path / PARTS / f"given-{name}" / "part-0.parquet").is_file()


async def test_loading_what_was_exported_changes_no_sale(
    connection: Connection, tmp_path: Path
) -> None:
    sales = [
        stored("none"),
        stored("null", attributes={"stars": None}),
        stored("some", attributes={"stars": 4.5, "spa": True, "board": "half"}),
    ]
    before = await SaleStore(connection).put(sales)
    await export(connection, tmp_path)

    exported = read_dataset(tmp_path).sales
    after = await SaleStore(connection).put(exported)

    assert {one.sale_id: one for one in exported} == {one.sale_id: one for one in sales}
    assert after == before
