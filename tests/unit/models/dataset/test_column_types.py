"""Columns of every type that polars reads: each is used or named, none is a crash."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from models.dataset import Dataset, DatasetError, FaultCode, read_dataset
from models.dataset.schema import EVENTS, SALES
from models.domain.sale import Sale
from tests.logs import catalogue
from training.recommenders.content_encoder import used_attributes

AT = datetime(2025, 1, 2, tzinfo=UTC)
SALE = pl.DataFrame({"sale_id": ["s1"], "opens_at": [AT]})
EVENT = pl.DataFrame(
    {"event_id": ["e1"], "customer_id": ["c1"], "sale_id": ["s1"], "type": ["view"], "at": [AT]}
)
LAST_OF_DATE = pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)
LAST_OF_MILLISECONDS = pl.Series([2**63 - 1]).cast(pl.Datetime("ms", "UTC"))

USED: list[tuple[pl.Series, object]] = [
    (pl.Series([timedelta(days=3)]), 3.0),
    (pl.Series([timedelta(hours=-6)], dtype=pl.Duration("ms")), -0.25),
    (pl.Series([timedelta(hours=12)], dtype=pl.Duration("ns")), 0.5),
    (pl.Series([Decimal("12.50")]), 12.5),
    (pl.Series([2**64 - 1], dtype=pl.UInt64), 2.0**64),
    (pl.Series([-(2**100)], dtype=pl.Int128), -(2.0**100)),
    (pl.Series([-128], dtype=pl.Int8), -128.0),
    (pl.Series([1.5], dtype=pl.Float32), 1.5),
    (pl.Series([1.7e308]), 1.7e308),
    (pl.Series([float("nan")]), None),
    (pl.Series([True]), True),
    (pl.Series([None], dtype=pl.Null), None),
    (pl.Series(["half"], dtype=pl.Categorical), "half"),
    (pl.Series(["half"], dtype=pl.Enum(["half"])), "half"),
    (pl.Series([date(2025, 1, 31)]), "2025-01-31"),
    (pl.Series([time(18, 30)]), "18:30:00"),
    (pl.Series([datetime(2025, 1, 31, 18)]), "2025-01-31 18:00:00.000000"),
    (pl.Series([AT]), "2025-01-02 00:00:00.000000+00:00"),
    (LAST_OF_DATE, str(2**31 - 1)),
    (LAST_OF_MILLISECONDS, str(2**63 - 1)),
]
NAMED = [
    pl.Series([["a", "b"]]),
    pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)),
    pl.Series([{"stars": 4}]),
    pl.Series([[{"key": "stars", "value": 4}]]),
    pl.Series([b"\xff"]),
]


def read(directory: Path, *, sales: pl.DataFrame = SALE, events: pl.DataFrame = EVENT) -> Dataset:
    directory.mkdir(exist_ok=True)
    sales.write_parquet(directory / "sales.parquet")
    events.write_parquet(directory / "events.parquet")
    return read_dataset(directory)


def read_or_named(directory: Path, sales: pl.DataFrame, events: pl.DataFrame, column: str) -> None:
    """Read a dataset; a column that cannot be used, or its only row, must be named."""
    try:
        dataset = read(directory, sales=sales, events=events)
    except DatasetError as refused:
        named = [fault for fault in refused.faults if fault.column == column]
    else:
        whole = len(dataset.sales) == len(dataset.events) == 1
        named = [True] if whole else [f for f in dataset.faults if f.column == column and f.row]
    assert named, column


@pytest.mark.parametrize(("values", "expected"), USED)
def test_a_single_value_of_any_type_is_an_attribute(
    tmp_path: Path, values: pl.Series, expected: object
) -> None:
    dataset = read(tmp_path, sales=SALE.with_columns(values.alias("extra")))

    assert dataset.sales[0].attributes.get("extra") == expected
    assert dataset.faults.counts() == {FaultCode.NOT_LEARNED: 1}


def test_attributes_that_no_model_reads_are_noted_with_the_reason(tmp_path: Path) -> None:
    sales = pl.concat([SALE.with_columns(sale_id=pl.lit(f"s{n}")) for n in range(1, 5)])
    dataset = read(
        tmp_path,
        sales=sales.with_columns(
            article=pl.Series(["a1", "a2", "a3", "a4"]),
            board=pl.Series(["half", "full", "half", "full"]),
            hotel=pl.lit("the only one"),
            stars=pl.Series([1.0, 2.0, 3.0, 4.0]),
            empty=pl.lit(None, pl.Float64),
            terms=pl.Series(["a" * 129, "b" * 129] * 2),
        ),
    )

    noted = dataset.faults.with_codes(FaultCode.NOT_LEARNED)
    assert {fault.column: fault.reason.partition(":")[0] for fault in noted} == {
        "article": "attribute 'article' has 4 texts for 4 sales",
        "hotel": "attribute 'hotel' has one value",
        "empty": "attribute 'empty' has no value",
        "terms": "attribute 'terms' has no text of at most 128 characters",
    }


@pytest.mark.parametrize("values", NAMED)
def test_a_column_that_is_no_single_value_is_named_with_its_type(
    tmp_path: Path, values: pl.Series
) -> None:
    dataset = read(tmp_path, sales=SALE.with_columns(values.alias("extra")))

    (fault,) = dataset.faults
    assert dataset.sales[0].attributes == {}
    assert fault.code is FaultCode.UNKNOWN_COLUMN
    assert f"'extra' of type {values.dtype}" in fault.reason


def test_an_infinite_attribute_is_named_and_left_out_of_its_sale(tmp_path: Path) -> None:
    sales = pl.concat([SALE, SALE.with_columns(sale_id=pl.lit("s2"))])
    dataset = read(tmp_path, sales=sales.with_columns(stars=pl.Series([4.0, float("inf")])))

    infinite = dataset.faults.with_codes(FaultCode.INFINITE_ATTRIBUTE)
    assert [one.attributes.get("stars") for one in dataset.sales] == [4.0, None]
    assert [(fault.row, fault.column) for fault in infinite] == [(2, "stars")]


def test_a_text_is_as_long_in_a_file_as_in_a_request_and_a_longer_one_is_named(
    tmp_path: Path,
) -> None:
    texts = ["x" * 1_000, "é" * 1_001]
    sales = pl.concat([SALE, SALE.with_columns(sale_id=pl.lit("s2"))])
    dataset = read(tmp_path, sales=sales.with_columns(terms=pl.Series(texts)))

    (long,) = dataset.faults.with_codes(FaultCode.LONG_ATTRIBUTE)
    assert (long.file, long.row, long.column) == ("sales.parquet", 2, "terms")
    assert [one.attributes.get("terms") for one in dataset.sales] == [texts[0], None]
    with pytest.raises(ValidationError, match="at most 1000 characters"):
        Sale.model_validate({**dict(dataset.sales[1]), "attributes": {"terms": texts[1]}})


@pytest.mark.parametrize("name", ["", "x" * 129, "stars\nforged"])
def test_a_column_whose_name_no_request_may_have_is_named_and_left_out(
    tmp_path: Path, name: str
) -> None:
    dataset = read(tmp_path, sales=SALE.with_columns(pl.lit("half").alias(name)))

    (fault,) = dataset.faults
    assert (fault.code, dataset.sales[0].attributes) == (FaultCode.UNKNOWN_COLUMN, {})
    assert "names have 1 to 128 characters" in fault.reason
    assert "\n" not in str(fault)


def test_an_attribute_of_one_number_beside_no_numbers_is_not_learned_from(tmp_path: Path) -> None:
    sales = pl.concat([SALE, SALE.with_columns(sale_id=pl.lit("s2"))])
    dataset = read(tmp_path, sales=sales.with_columns(stars=pl.Series([4.0, float("nan")])))

    (noted,) = dataset.faults.with_codes(FaultCode.NOT_LEARNED)
    assert "attribute 'stars' has one value" in noted.reason


@pytest.mark.parametrize("name", ["__index_level_0__", "Unnamed: 0"])
def test_the_row_numbers_of_pandas_are_noted_and_not_learned_from(
    tmp_path: Path, name: str
) -> None:
    sales = pl.concat([SALE, SALE.with_columns(sale_id=pl.lit("s2"))])
    dataset = read(tmp_path, sales=sales.with_columns(pl.Series(name, [0, 1])))

    (noted,) = dataset.faults.with_codes(FaultCode.NOT_LEARNED)
    assert f"attribute {name!r} has the name of row numbers" in noted.reason
    shop = catalogue(*dataset.sales)
    assert used_attributes(shop, np.ones(2)) == ((), {})


def test_whole_decimals_are_ids_as_integers_are(tmp_path: Path) -> None:
    """Snowflake writes every NUMBER without fraction digits as DECIMAL(38, 0)."""
    whole = pl.Series([12]).cast(pl.Decimal(38, 0))
    events = EVENT.with_columns(sale_id=pl.lit(12), customer_id=whole)

    dataset = read(tmp_path, sales=SALE.with_columns(sale_id=whole), events=events)

    assert [one.sale_id for one in dataset.sales] == ["12"]
    assert not [*dataset.faults]
    with pytest.raises(DatasetError, match=r"must hold text or integers, is of type Decimal"):
        read(tmp_path, sales=SALE.with_columns(sale_id=whole.cast(pl.Decimal(38, 2))))


@pytest.mark.parametrize("column", [column.name for column in SALES])
def test_no_type_of_a_column_of_sales_is_a_crash(tmp_path: Path, column: str) -> None:
    for values in [*(values for values, _ in USED), *NAMED]:
        sales = SALE.with_columns(values.alias(column))
        read_or_named(tmp_path, sales.with_columns(extra=LAST_OF_MILLISECONDS), EVENT, column)


@pytest.mark.parametrize("column", [column.name for column in EVENTS])
def test_no_type_of_a_column_of_events_is_a_crash(tmp_path: Path, column: str) -> None:
    for values in [*(values for values, _ in USED), *NAMED]:
        read_or_named(tmp_path, SALE, EVENT.with_columns(values.alias(column)), column)


@pytest.mark.parametrize("name", ["Price", " price ", "CLOSES_AT"])
def test_a_column_nearly_called_like_one_of_the_contract_is_noted(
    tmp_path: Path, name: str
) -> None:
    dataset = read(tmp_path, sales=SALE.with_columns(pl.lit("9.5").alias(name)))

    (fault,) = dataset.faults.with_codes(FaultCode.UNKNOWN_COLUMN)
    assert f"column {name!r} is read as an attribute" in fault.reason


def test_a_missing_column_names_the_one_that_nearly_is_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no column 'at', which is required; it has 'At'"):
        read(tmp_path, events=EVENT.rename({"at": "At"}))
