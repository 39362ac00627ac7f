"""Importer of the trivago RecSys Challenge 2019: hotel search sessions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.checks import Check, find_faults, without_refused
from models.dataset.conversion import convert
from models.dataset.faults import DatasetError, FaultCode, FaultReport
from models.dataset.reading import Progress
from models.dataset.schema import Column, Kind
from models.dataset.tables import Table, read_table
from models.domain.event import EventType
from models.domain.units import SECOND_US

PURCHASE_ACTION: Final = "clickout item"
VIEW_ACTIONS: Final = (
    "interaction item image",
    "interaction item deals",
    "interaction item info",
    "interaction item rating",
    "search for item",
)
_OF_A_HOTEL: Final = (PURCHASE_ACTION, *VIEW_ACTIONS)
_LAST_SECOND: Final = 253_402_214_400  # 9999-12-31, where times of the contract end
# Chosen: far above the 25 hotels that a list of the source has at most.
_LIST_CHARS: Final = 10_000
_UTC: Final = pl.Datetime("us", "UTC")
_STEPS: Final = ("read", "events", "sales", "write")


@dataclass(frozen=True, slots=True, eq=False)
class SessionImport:
    """Summary of an import.

    Attributes:
        n_rows: Rows of the source.
        n_sales: Hotels.
        n_events: Events by type.
        not_imported: Rows without a counterpart among the event types, by action.
        faults: Rows that could not be used.
    """

    n_rows: int
    n_sales: int
    n_events: dict[str, int]
    not_imported: dict[str, int]
    faults: FaultReport


def import_trivago(source: Path, out: Path, *, progress: Progress | None = None) -> SessionImport:
    """Write the sessions as a dataset of the contract; the same source gives the same bytes.

    A clickout is a purchase, an interaction with a hotel or a search for it a view, and the
    list of a clickout one impression per hotel, with position and price. A row's time is
    its second plus its step in microseconds, which keeps the order of a session. A purchase
    and the impressions of its list have the same time. Every hotel is a sale that opens with
    the first row of the source.

    Args:
        source: ``sessions`` or ``train`` of the challenge, as Parquet or CSV.
        out: Folder for ``sales.parquet`` and ``events.parquet``; replaced if there.
        progress: Receives each step that begins, and how many of how many are done.

    Raises:
        DatasetError: If the source cannot be read or lacks a column.
    """
    tell: Progress = progress or (lambda _step, _done, _total: None)
    tell("read", 0, len(_STEPS))
    table = read_table(source)
    rows, faults = _usable_rows(table)
    tell("events", 1, len(_STEPS))
    shown = _impressions(rows)
    # By id within a moment, too: the same source gives the same bytes.
    views = _events(
        rows.filter(pl.col("action_type").is_in(VIEW_ACTIONS)),
        EventType.VIEW,
        event_id=pl.col("id"),
        sale_id=pl.col("reference"),
    )
    # Diagonal: a view has neither list, position nor price.
    events = pl.concat([_purchases(rows, shown), views, shown], how="diagonal")
    events = events.sort("at", "event_id").with_columns(pl.col("at").cast(_UTC))
    tell("sales", 2, len(_STEPS))
    opening = pl.lit(rows["timestamp"].min(), dtype=pl.Int64) * SECOND_US
    hotels = events.select(pl.col("sale_id").unique()).sort("sale_id")
    sales = hotels.with_columns(opens_at=opening.cast(_UTC))
    tell("write", 3, len(_STEPS))
    out.mkdir(parents=True, exist_ok=True)
    sales.write_parquet(out / "sales.parquet")
    events.write_parquet(out / "events.parquet")
    tell("done", len(_STEPS), len(_STEPS))
    return SessionImport(
        n_rows=table.frame.height + len(table.faults),
        n_sales=sales.height,
        n_events=_count(events["type"]),
        not_imported=_count(rows.filter(~_is_of_a_hotel())["action_type"]),
        faults=faults,
    )


def _count(column: pl.Series) -> dict[str, int]:
    counted = column.value_counts(sort=False).sort(column.name)
    return dict(counted.iter_rows())


def _is_of_a_hotel() -> pl.Expr:
    return pl.col("action_type").is_in(_OF_A_HOTEL)


def _usable_rows(table: Table) -> tuple[pl.DataFrame, FaultReport]:
    frame, faults = convert(table, COLUMNS)
    if faults.unusable():
        raise DatasetError(faults)
    lists = {name: pl.col(name).str.split("|") for name in ("impressions", "prices")}
    frame = frame.with_columns(
        **lists, at=pl.col("timestamp") * SECOND_US + pl.col("step"), id=_ROW_ID
    )
    faults = FaultReport.concatenate([faults, find_faults(frame, _CHECKS, file=table.file)])
    return without_refused(frame, faults, file=table.file), faults


def _impressions(rows: pl.DataFrame) -> pl.DataFrame:
    clickouts = rows.filter(pl.col("action_type") == PURCHASE_ACTION)
    positions = pl.int_ranges(1, pl.col("impressions").list.len() + 1)
    shown = clickouts.with_columns(position=positions).explode("impressions", "prices", "position")
    shown = shown.drop_nulls("impressions")
    return _events(
        shown,
        EventType.IMPRESSION,
        event_id=pl.format("{}-{}", "id", "position"),
        sale_id=pl.col("impressions"),
        exposure_id=pl.col("id"),
        position=pl.col("position"),
        price=pl.col("prices").cast(pl.Float64),
    )


def _purchases(rows: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    clickouts = rows.filter(pl.col("action_type") == PURCHASE_ACTION)
    at_position = shown.select(
        id="exposure_id", reference="sale_id", shown_position="position", shown_price="price"
    ).unique(["id", "reference"], keep="first", maintain_order=True)
    found = clickouts.join(at_position, on=["id", "reference"], how="left", maintain_order="left")
    position = pl.col("shown_position")
    return _events(
        found,
        EventType.PURCHASE,
        event_id=pl.col("id"),
        sale_id=pl.col("reference"),
        exposure_id=pl.when(position.is_not_null()).then(pl.col("id")),
        position=position,
        price=pl.col("shown_price"),
    )


def _events(frame: pl.DataFrame, event_type: EventType, **columns: pl.Expr) -> pl.DataFrame:
    return frame.select(
        customer_id="user_id",
        session_id="session_id",
        type=pl.lit(event_type.value),
        at="at",
        market="platform",
        device="device",
        **columns,
    )


# Of the source; others are not read.
COLUMNS: Final = (
    Column(name="user_id", kind=Kind.IDENTIFIER, required=True),
    Column(name="session_id", kind=Kind.IDENTIFIER, required=True),
    Column(name="timestamp", kind=Kind.WHOLE, required=True, low=0, high=_LAST_SECOND),
    Column(name="step", kind=Kind.WHOLE, required=True, low=0, high=SECOND_US - 1),
    Column(name="action_type", kind=Kind.IDENTIFIER, required=True),
    Column(name="reference", kind=Kind.TEXT, max_chars=1_000),
    Column(name="platform", kind=Kind.IDENTIFIER),
    Column(name="device", kind=Kind.IDENTIFIER),
    Column(name="impressions", kind=Kind.TEXT, max_chars=_LIST_CHARS),
    Column(name="prices", kind=Kind.TEXT, max_chars=_LIST_CHARS),
)

# A session id may come back on another day and count its steps from 1 again.
_ROW_ID: Final = pl.format("{}-{}-{}", "session_id", "timestamp", "step")
_SHOWN: Final = pl.col("impressions").list
_PRICES: Final = pl.col("prices").list

_CHECKS: Final = (
    Check(
        FaultCode.CONFLICTING_EVENT,
        "step",
        pl.col("id").is_not_null() & ~pl.col("id").is_first_distinct(),
        "be unique within session and second",
    ),
    Check(
        FaultCode.WRONG_TYPE,
        "reference",
        _is_of_a_hotel() & ~pl.col("reference").fill_null("").str.contains(r"^\d{1,20}$"),
        "be a hotel's number where the action is of a hotel",
    ),
    Check(
        FaultCode.MISSING_VALUE,
        "impressions",
        (pl.col("action_type") == PURCHASE_ACTION) & pl.col("impressions").is_null(),
        "list the hotels of a clickout",
    ),
    Check(
        FaultCode.WRONG_TYPE,
        "impressions",
        ~_SHOWN.eval(pl.element().str.contains(r"^\d{1,20}$")).list.all(),
        "be a list of hotels' numbers like '12|34'",
    ),
    Check(
        FaultCode.WRONG_TYPE,
        "prices",
        ~_PRICES.eval(pl.element().str.contains(r"^\d{1,9}(\.\d+)?$")).list.all()
        | (_PRICES.len() != _SHOWN.len()).fill_null(pl.col("impressions").is_not_null()),
        "be a list of as many prices as impressions",
    ),
)
