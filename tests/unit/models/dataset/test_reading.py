"""Whole datasets: what is optional, what stops a reading, what identifies a dataset."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from models.dataset import DatasetError, FaultCode, read_dataset
from models.domain.event import from_us, to_us
from tests.datasets import event, sale, write_csv, write_dataset

OPENING = datetime(2025, 1, 1, tzinfo=UTC)


def sales_frame(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"sale_id": ["s1"], "opens_at": [OPENING]} | columns)


def test_parquet_and_csv_of_the_same_content_read_the_same(tmp_path: Path) -> None:
    rows = [
        event(event_id=f"e{second}", at=f"2025-01-02T00:00:{second:02}Z", position="3", price="9.5")
        for second in range(20)
    ]
    texts = write_dataset(tmp_path / "csv", events=rows)
    frame = pl.DataFrame(rows).with_columns(
        pl.col("at").str.to_datetime(time_zone="UTC", time_unit="ms"),
        pl.col("position").cast(pl.Int8),
        pl.col("price").cast(pl.Decimal(10, 2)),
        pl.col("type").cast(pl.Categorical),
    )
    binary = tmp_path / "parquet"
    binary.mkdir()
    frame.write_parquet(binary / "events.parquet")
    sales_frame().write_parquet(binary / "sales.parquet")

    from_csv, from_parquet = read_dataset(texts), read_dataset(binary)

    assert from_csv.sales == from_parquet.sales
    assert from_csv.events.event_ids.equals(from_parquet.events.event_ids)
    for name in ("event_keys", "sale_keys", "kinds", "at_us", "received_us", "positions", "prices"):
        np.testing.assert_array_equal(
            getattr(from_csv.events, name), getattr(from_parquet.events, name)
        )


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_any_zone_and_unit_become_microseconds_in_utc(tmp_path: Path, unit: str) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").unlink()
    opening = pl.Series([datetime(2025, 1, 1, 9, tzinfo=UTC)])
    dtype = pl.Datetime(unit, "Asia/Tokyo")  # pyright: ignore[reportArgumentType] - parametrised
    sales_frame().with_columns(opens_at=opening.cast(dtype)).write_parquet(
        tmp_path / "sales.parquet"
    )

    assert read_dataset(tmp_path).sales[0].opens_at == datetime(2025, 1, 1, 9, tzinfo=UTC)


FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ticks", "unit", "expected"),
    [
        (to_us(FAR), "us", FAR),
        (to_us(FAR) // 1_000, "ms", FAR),
        (to_us(FAR) + 3_600 * 10**6, "us", datetime.max.replace(tzinfo=UTC)),
        (2**63 - 1, "us", None),
        (2**63 - 1, "ms", None),
        (2**63 - 1, "ns", from_us((2**63 - 1) // 1_000)),
        (-1, "us", None),
        (-(2**63) + 1, "ms", None),
    ],
)
def test_a_stored_time_is_read_to_the_end_of_the_year_9999_and_refused_beyond(
    tmp_path: Path, ticks: int, unit: str, expected: datetime | None
) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").unlink()
    dtype = pl.Datetime(unit, "UTC")  # pyright: ignore[reportArgumentType] - parametrised
    closing = pl.Series([ticks, None]).cast(dtype)
    sales = pl.concat([sales_frame(), sales_frame().with_columns(sale_id=pl.lit("s2"))])
    sales.with_columns(closes_at=closing).write_parquet(tmp_path / "sales.parquet")

    dataset = read_dataset(tmp_path)

    if expected is None:
        assert dataset.faults.with_codes(FaultCode.OUT_OF_RANGE).refused_rows("sales.parquet") == [
            1
        ]
    else:
        assert [one.closes_at for one in dataset.sales] == [expected, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-01T01:00:00+01:00", OPENING),
        ("2025-01-01 00:00:00Z", OPENING),
        ("2024-12-31T19:00:00.000000-0500", OPENING),
        ("2025-01-01T00:00:00.000001Z", OPENING.replace(microsecond=1)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2999-12-31T00:00:00Z", datetime(2999, 12, 31, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:59-11:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_written_times_are_read_with_their_offset(
    tmp_path: Path, text: str, expected: datetime
) -> None:
    write_dataset(tmp_path, sales=[sale(opens_at=text)])

    assert read_dataset(tmp_path).sales[0].opens_at == expected


def test_further_columns_of_a_sale_become_attributes(tmp_path: Path) -> None:
    row = sale(stars="4", pool="true", board="half", empty="")
    write_dataset(tmp_path, sales=[row, sale(sale_id="s2", stars="3.5", pool="false")])

    attributes = [one.attributes for one in read_dataset(tmp_path).sales]

    assert attributes[0] == {"stars": 4.0, "pool": True, "board": "half"}
    assert attributes[1] == {"stars": 3.5, "pool": False}


@pytest.mark.parametrize("text", ["true,false", "True,False", "TRUE,FALSE"])
def test_booleans_of_a_csv_file_are_those_of_a_request_however_they_are_written(
    tmp_path: Path, text: str
) -> None:
    """Python writes True, spreadsheets TRUE; the service is sent true for the same sale."""
    first, second = text.split(",")
    write_dataset(tmp_path, sales=[sale(spa=first), sale(sale_id="s2", spa=second)])

    assert [one.attributes for one in read_dataset(tmp_path).sales] == [
        {"spa": True},
        {"spa": False},
    ]


@pytest.mark.parametrize("given", [pl.Series([["fr", "de"]]), pl.Series(["fr|de"])])
def test_markets_are_a_list_or_a_text(tmp_path: Path, given: pl.Series) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").unlink()
    sales_frame().with_columns(markets=given).write_parquet(tmp_path / "sales.parquet")

    assert read_dataset(tmp_path).sales[0].markets == ("fr", "de")


@pytest.mark.parametrize("name", ["sales", "events"])
def test_a_missing_file_is_named_with_what_was_looked_for(tmp_path: Path, name: str) -> None:
    write_dataset(tmp_path)
    (tmp_path / f"{name}.csv").unlink()

    with pytest.raises(DatasetError, match=rf"no {name}.parquet or {name}.csv \[missing_file\]"):
        read_dataset(tmp_path)


def test_every_file_is_judged_before_a_lenient_reading_gives_up(tmp_path: Path) -> None:
    write_csv(tmp_path / "events.csv", [event(), event(event_id="e2", type="buy")])

    with pytest.raises(DatasetError, match="missing_file") as refused:
        read_dataset(tmp_path)

    assert refused.value.faults.counts() == {FaultCode.MISSING_FILE: 1, FaultCode.UNKNOWN_TYPE: 1}


def test_a_table_in_two_formats_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    sales_frame().write_parquet(tmp_path / "sales.parquet")

    with pytest.raises(DatasetError, match="ambiguous_file"):
        read_dataset(tmp_path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").unlink()
    (tmp_path / "sales.parquet").write_bytes(b"PAR1 not really PAR1")

    with pytest.raises(DatasetError, match=r"sales.parquet: is not a readable Parquet file"):
        read_dataset(tmp_path)


def test_every_missing_required_column_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    write_csv(tmp_path / "events.csv", [{"event_id": "e1", "type": "view", "sale_id": "s1"}])

    with pytest.raises(DatasetError, match="missing_column") as refused:
        read_dataset(tmp_path)

    assert [fault.column for fault in refused.value.faults] == ["customer_id", "at"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("opens_at", pl.Series([datetime(2025, 1, 1)])),
        ("opens_at", pl.Series([1735689600])),
        ("sale_id", pl.Series([1.5])),
        ("price", pl.Series([True])),
        ("markets", pl.Series([[1, 2]])),
    ],
)
def test_a_column_of_another_type_is_refused_as_a_whole(
    tmp_path: Path, column: str, values: pl.Series
) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").unlink()
    sales_frame().with_columns(values.alias(column)).write_parquet(tmp_path / "sales.parquet")

    with pytest.raises(DatasetError, match=rf"column '{column}' must hold .*wrong_column_type"):
        read_dataset(tmp_path)


def test_more_attributes_than_a_sale_can_have_are_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, sales=[sale(**{f"a{i}": "1" for i in range(101)})])

    with pytest.raises(DatasetError, match="101 columns beyond the contract, at most 100"):
        read_dataset(tmp_path)


def test_an_attribute_that_is_no_single_value_is_noted(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "sales.csv").unlink()
    sales_frame(tags=[["a", "b"]]).write_parquet(tmp_path / "sales.parquet")

    dataset = read_dataset(tmp_path, strict=True)

    assert dataset.faults.counts() == {FaultCode.UNKNOWN_COLUMN: 1}
    assert dataset.sales[0].attributes == {}


def test_an_empty_dataset_reads_leniently_and_is_refused_for_learning(tmp_path: Path) -> None:
    write_csv(tmp_path / "sales.csv", [sale()])
    header = "event_id,customer_id,sale_id,type,at\n"
    (tmp_path / "events.csv").write_text(header, encoding="utf-8")

    dataset = read_dataset(tmp_path)

    assert (len(dataset.sales), len(dataset.events)) == (1, 0)
    with pytest.raises(DatasetError, match=r"events.csv: has no row .* of 0 \[no_events\]"):
        dataset.require_trainable()


def test_a_dataset_without_sales_says_so(tmp_path: Path) -> None:
    write_dataset(tmp_path, sales=[sale(opens_at="")])

    counts = read_dataset(tmp_path).faults.counts()

    assert counts == {
        FaultCode.MISSING_VALUE: 1,
        FaultCode.NO_SALES: 1,
        FaultCode.NO_EVENTS: 1,
        FaultCode.UNKNOWN_SALE: 1,
    }


def test_pictures_outside_of_images_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(b"secret")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "link.jpg").symlink_to(outside)
    paths = ["../secret.jpg", str(outside), "link.jpg", "none.jpg", "x" * 999, ""]
    sales = [sale(sale_id=f"s{row}", image=path) for row, path in enumerate(paths, start=1)]
    write_dataset(tmp_path, sales=sales)

    dataset = read_dataset(tmp_path)

    assert [(f.row, f.code) for f in dataset.faults] == [
        (1, FaultCode.IMAGE_OUTSIDE),
        (2, FaultCode.IMAGE_OUTSIDE),
        (3, FaultCode.IMAGE_OUTSIDE),
        (4, FaultCode.MISSING_IMAGE),
        (5, FaultCode.MISSING_IMAGE),
    ]
    assert dataset.images == {}
    assert [one.image for one in dataset.sales] == [None] * 6


@pytest.mark.parametrize(
    "name",
    ["a [1].jpg", "*.jpg", "a?.jpg", "100%20.jpg", "a#b.jpg", "-a.jpg", "~/a.jpg", "été.jpg"],
)
def test_a_picture_is_found_by_its_name_letter_by_letter(tmp_path: Path, name: str) -> None:
    path = tmp_path / "images" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"picture")
    write_dataset(tmp_path, sales=[sale(image=name)])

    dataset = read_dataset(tmp_path, strict=True)

    assert dataset.images == {"s1": {1: path.resolve()}}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_sale_may_name_several_pictures(tmp_path: Path, suffix: str) -> None:
    """One that is missing leaves the numbers of the others as they are."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", "c.jpg"):
        (folder / name).write_bytes(b"")
    sales = [sale(image="a.jpg|gone.jpg|c.jpg"), sale(sale_id="s2", image="c.jpg")]
    file = write_dataset(tmp_path, sales=sales) / "sales.csv"
    if suffix == ".parquet":
        lists = pl.read_csv(file).with_columns(pl.col("image").str.split("|"))
        lists.write_parquet(file.with_suffix(suffix))
        file.unlink()

    dataset = read_dataset(tmp_path)

    root = folder.resolve()
    assert dataset.images == {
        "s1": {1: root / "a.jpg", 3: root / "c.jpg"},
        "s2": {1: root / "c.jpg"},
    }
    assert [one.image for one in dataset.sales] == ["a.jpg", "c.jpg"]
    assert dataset.pictures == {root / "a.jpg", root / "c.jpg"}
    assert [(f.row, f.code) for f in dataset.faults] == [(1, FaultCode.MISSING_IMAGE)]


def test_broken_pictures_are_found_when_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (32, 32), "red").save(folder / "good.jpg")
    (folder / "broken.jpg").write_bytes((folder / "good.jpg").read_bytes()[:200])
    sales = [sale(image="good.jpg"), sale(sale_id="s2", image="broken.jpg")]
    write_dataset(tmp_path, sales=sales)

    unseen, seen = read_dataset(tmp_path), read_dataset(tmp_path, decode_pictures=True)

    assert set(unseen.images) == {"s1", "s2"}
    assert set(seen.images) == {"s1"}
    assert [(f.row, f.code) for f in seen.faults] == [(2, FaultCode.BROKEN_IMAGE)]


def test_the_fingerprint_follows_content_and_not_place(tmp_path: Path) -> None:
    first = read_dataset(write_dataset(tmp_path / "a"))
    second = read_dataset(write_dataset(tmp_path / "b"))
    third = read_dataset(write_dataset(tmp_path / "c", events=[event(event_id="e2")]))

    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != third.fingerprint


@pytest.mark.parametrize("name", ["images/one.jpg", "scenes/beach/two.jpg"])
def test_the_fingerprint_covers_pictures(tmp_path: Path, name: str) -> None:
    write_dataset(tmp_path, sales=[sale(image="one.jpg")])
    for path in ("images/one.jpg", "scenes/beach/two.jpg"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"before")
    before = read_dataset(tmp_path).fingerprint

    (tmp_path / name).write_bytes(b"after")

    assert read_dataset(tmp_path).fingerprint != before


def test_pictures_may_lie_behind_a_link(tmp_path: Path) -> None:
    """A folder of pictures is large: datasets may share it, and are the same dataset."""
    own, shared = (
        write_dataset(tmp_path / name, sales=[sale(image="one.jpg")]) for name in ("own", "shared")
    )
    (own / "images").mkdir()
    (own / "images" / "one.jpg").write_bytes(b"picture")
    (shared / "images").symlink_to(own / "images")

    assert read_dataset(shared).fingerprint == read_dataset(own).fingerprint


def test_progress_ends_where_it_said_it_would(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    read_dataset(
        write_dataset(tmp_path), progress=lambda step, done, n: told.append((step, done, n))
    )

    assert told[0] == ("sales", 0, 4)
    assert told[-1] == ("done", 4, 4)


def test_markets_of_sales_and_events_are_read_in_one_form(tmp_path: Path) -> None:
    """A website that writes FR and a warehouse that writes fr mean one market."""
    (tmp_path / "sales.csv").write_text(
        "sale_id,opens_at,markets\ns1,2025-01-01T00:00:00Z,FR| de\n", encoding="utf-8"
    )
    (tmp_path / "events.csv").write_text(
        "event_id,customer_id,sale_id,type,at,market\n"
        "e1,c1,s1,click,2025-01-02T00:00:00Z,Fr \n"
        "e2,c1,s1,click,2025-01-02T00:00:01Z, \n",
        encoding="utf-8",
    )

    dataset = read_dataset(tmp_path)

    assert dataset.sales[0].markets == ("fr", "de")
    codes = dataset.events.markets.codes.tolist()
    names = dataset.events.markets.values.to_list()
    assert [names[code] if code >= 0 else None for code in codes] == ["fr", None]
    assert not dataset.faults.n_refused()
