"""Event table: the events of a dataset as columns."""

from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.mapped_array import rows_of
from models.catalogue.event_counts import counted
from models.dataset.checks import ROW, Check, find_faults, given, without_refused
from models.dataset.conversion import convert
from models.dataset.customers import CustomerTable
from models.dataset.erasures import Erasures
from models.dataset.event_columns import CODES, EventColumns, Labels, keys_for
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.merges import MergeTable
from models.dataset.receiving import with_received
from models.dataset.schema import EVENTS
from models.dataset.tables import Table
from models.domain.customer import first_column
from models.domain.event import (
    MAX_AGE_US,
    MAX_AHEAD_US,
    NO_SALE,
    WITHOUT_SALE,
    EventType,
)

IDENTITY: Final = ("customer_id", "event_id")
"""Key of an event: event ids are unique within a customer only."""


Column = Labels | pl.Series | NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """Accepted events, sorted by (received, at, event key); all arrays of shape ``(n_events,)``.

    Attributes:
        event_ids: Event ids.
        event_keys: `models.domain.event.key` of the event ids.
        customers: Customer ids; never -1.
        sessions: Session ids.
        sale_ids: Sale ids; -1 only of searches and opened e-mails.
        sale_keys: `models.domain.event.key` of the sale ids, `NO_SALE` without one.
        kinds: Codes `models.domain.event.KIND` of the types.
        at_us: Time of the event, microseconds since the epoch.
        received_us: Time of receipt; ``at_us`` if the file does not have it, or only that of
            an import.
        exposures: Exposure ids.
        positions: Rank in the slate from 1, 0 where unknown.
        covers: Number of the picture that was shown, 0 where unknown.
        prices: Price at that moment, NaN where unknown.
        quantities: Pieces bought or refunded, 0 where unknown.
        revenues: Revenue, NaN where unknown.
        markets: Markets.
        devices: Devices.
        propensities: Probability of the logged action, NaN where unknown.
        variants: Variants of an experiment.
        attributes: What the dataset knows of each customer of ``customers.values``.
        merges: Guests among the customers, see `models.dataset.guest_events`.
    """

    event_ids: pl.Series
    event_keys: NDArray[np.uint64]
    customers: Labels
    sessions: Labels
    sale_ids: Labels
    sale_keys: NDArray[np.uint64]
    kinds: NDArray[np.uint8]
    at_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    exposures: Labels
    positions: NDArray[np.int32]
    covers: NDArray[np.int32]
    prices: NDArray[np.float64]
    quantities: NDArray[np.int32]
    revenues: NDArray[np.float64]
    markets: Labels
    devices: Labels
    propensities: NDArray[np.float64]
    variants: Labels
    attributes: CustomerTable
    merges: MergeTable = field(default_factory=MergeTable.none)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.at_us)

    @property
    def first_column(self) -> NDArray[np.uint64]:
        """First column of the members of windows, see `models.domain.customer.first_column`."""
        return first_column(
            self.event_keys, self.kinds, quantities=self.quantities, covers=self.covers
        )

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Mark the events that count for their sales, see `models.catalogue.event_counts`."""
        return counted(
            self.customers.codes,
            self.sale_keys,
            kinds=self.kinds,
            received_us=self.received_us,
        )

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the events of a mask; codes of text columns stay as they are."""
        return self.take(np.flatnonzero(chosen))

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Return the events of some rows, in their order; codes stay as they are."""

        def part(column: Column) -> Column:
            if isinstance(column, Labels):
                return Labels(column.values, rows_of(column.codes, rows))
            if isinstance(column, pl.Series):
                return column.gather(rows)
            return rows_of(column, rows)

        names = [f.name for f in fields(self) if f.name not in {"attributes", "merges"}]
        return replace(self, **{name: part(getattr(self, name)) for name in names})

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """Build the table of accepted events.

        Args:
            frame: The contract's columns, ``at`` and ``received_us`` in microseconds, with
                distinct pairs of customer and event id, in any order.
        """
        return cls.from_columns(EventColumns.ordered([frame.get_column]))

    @classmethod
    def from_columns(cls, columns: EventColumns) -> Self:
        """Build the table of the columns of accepted events."""
        sales, customers = columns.labels("sale_id"), columns.labels("customer_id")
        # Code -1, without a sale, reads the appended key.
        sale_keys = np.append(keys_for(sales.values), np.uint64(NO_SALE))
        return cls(
            event_ids=columns.event_ids(),
            event_keys=columns.keys,
            customers=customers,
            sessions=columns.labels("session_id"),
            sale_ids=sales,
            sale_keys=columns.of_codes(sale_keys, sales.codes),
            kinds=columns.kinds(),
            at_us=columns.times("at"),
            received_us=columns.times("received_us"),
            exposures=columns.labels("exposure_id"),
            positions=columns.counts("position"),
            covers=columns.counts("cover"),
            prices=columns.numbers("price"),
            quantities=columns.counts("quantity"),
            revenues=columns.numbers("revenue"),
            markets=columns.labels("market"),
            devices=columns.labels("device"),
            propensities=columns.numbers("propensity"),
            variants=columns.labels("variant"),
            attributes=CustomerTable.none(customers.values),
        )


def read_events(
    table: Table,
    sales: pl.DataFrame | None,
    *,
    erasures: Erasures,
    as_received: bool = False,
    imported: Collection[int] | None = None,
) -> tuple[EventTable | None, FaultReport]:
    """Validate the rows of an events file; see `accepted_rows`.

    Returns:
        The accepted events, None if the file as a whole cannot be used, and the faults.
    """
    frame, faults = accepted_rows(
        table, sales, erasures=erasures, as_received=as_received, imported=imported
    )
    return None if frame is None else EventTable.from_frame(frame), faults


def accepted_rows(
    table: Table,
    sales: pl.DataFrame | None,
    *,
    erasures: Erasures,
    as_received: bool = False,
    imported: Collection[int] | None = None,
) -> tuple[pl.DataFrame | None, FaultReport]:
    """Validate the rows of an events file.

    Args:
        table: The unconverted table.
        sales: Per accepted sale ``sale_id, opens_us, closes_us, markets``; None if the sales
            could not be read, which disables the notes on unknown sales.
        erasures: Customers whose events are left out.
        as_received: See `with_received`.
        imported: See `with_received`.

    Returns:
        The accepted rows, None if the file as a whole cannot be used, and the faults. Events of
        unknown sales are among them, as they are in the service.
    """
    frame, faults = convert(table, EVENTS, extra=FaultCode.UNKNOWN_COLUMN)
    if faults.unusable():
        return None, faults
    frame, late = with_received(frame, file=table.file, as_given=as_received, imported=imported)
    faults += late
    frame, faults = erasures.apply(frame, faults, file=table.file, times=("at", "received_us"))
    faults += find_faults(frame, _REFUSALS, file=table.file)
    frame = without_refused(frame, faults, file=table.file)
    repeated = repeated_rows(frame)
    if repeated.height:
        # The first row of every event is kept.
        faults += find_faults(repeated, _REPEATS, file=table.file)
        frame = frame.filter(~pl.col(ROW).is_in(repeated[ROW].to_list()))
    checks = _NOTES if sales is None else (_UNKNOWN_SALE, *_NOTES)
    if sales is None:
        sales = pl.DataFrame(schema=_OF_SALES)
    faults += find_faults(_beside_sales(frame, sales), checks, file=table.file)
    return frame, faults


def _beside_sales(frame: pl.DataFrame, sales: pl.DataFrame) -> pl.DataFrame:
    """Return what notes are about, beside the sales; all columns would be copied."""
    about = ("sale_id", "market", "type", "at", "position")
    # `limited`: the sale names markets; `sees`: the event's market is one of them, else null.
    limited = pl.col("markets").is_not_null()
    times = sales.select("sale_id", "opens_us", "closes_us", limited=limited)
    seen = sales.select("sale_id", market="markets").explode("market").drop_nulls().unique()
    seen = seen.with_columns(sees=pl.lit(value=True))
    found = frame.select("sale_id", "market")
    found = found.join(times, on="sale_id", how="left", maintain_order="left")
    found = found.join(seen, on=["sale_id", "market"], how="left", maintain_order="left")
    named = (name for one in about for name in (one, given(one)) if name in frame.columns)
    return frame.select(ROW, *named).hstack(found.drop("sale_id", "market").get_columns())


def repeated_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that repeat or contradict an earlier row of the same event.

    Args:
        frame: The contract's columns beside the number of the row in `ROW`.

    Returns:
        The rows whose event has an earlier row, with a column ``same``: whether both are equal
        except for the time of receipt.
    """
    # Ids are compared first, which is cheaper than pairs of customer and id; few occur twice.
    found = frame.filter(pl.col("event_id").is_duplicated())
    content = [pl.col(name) for name in _CONTENT]
    same = pl.all_horizontal(each.eq_missing(each.first().over(IDENTITY)) for each in content)
    later = pl.col(ROW) != pl.col(ROW).first().over(IDENTITY)
    return found.with_columns(same=same, later=later).filter("later").drop("later")


_CONTENT: Final = tuple(
    column.name for column in EVENTS if column.name not in {*IDENTITY, "received_at"}
)

_OF_SALES: Final = {
    "sale_id": pl.String,
    "opens_us": pl.Int64,
    "closes_us": pl.Int64,
    "markets": pl.List(pl.String),
}

_UNKNOWN_SALE: Final = Check(
    FaultCode.UNKNOWN_SALE,
    "sale_id",
    pl.col("sale_id").ne("") & pl.col("opens_us").is_null(),
    "be among the accepted sales",
)

OF_A_SALE: Final = Check(
    FaultCode.MISSING_VALUE,
    "sale_id",
    pl.col("sale_id").is_null() & ~pl.col("type").is_in(sorted(WITHOUT_SALE)),
    f"be there, except of {' and '.join(sorted(WITHOUT_SALE))}",
)
"""Rule that an event of most types is about a sale."""

_REFUSALS: Final = (
    Check(
        FaultCode.UNKNOWN_TYPE,
        "type",
        pl.col("type").ne("") & ~pl.col("type").is_in(list(CODES)),
        f"be one of {', '.join(CODES)}",
    ),
    OF_A_SALE,
    # `models.domain.event.accept`, for whole columns.
    Check(
        FaultCode.FUTURE,
        "at",
        pl.col("at") > pl.col("received_us") + MAX_AHEAD_US,
        "be at most 5 minutes after received_at",
    ),
    Check(
        FaultCode.TOO_OLD,
        "at",
        pl.col("at") < pl.col("received_us") - MAX_AGE_US,
        "be at most 90 days before received_at",
    ),
)

_NOTES: Final = (
    Check(
        FaultCode.BEFORE_OPENING,
        "at",
        pl.col("at") < pl.col("opens_us"),
        "not be before the sale opens",
    ),
    Check(
        FaultCode.AFTER_CLOSE,
        "at",
        # What was bought is often returned after it.
        (pl.col("at") >= pl.col("closes_us")) & (pl.col("type") != EventType.REFUND.value),
        "be before the sale closes",
    ),
    Check(
        FaultCode.OTHER_MARKET,
        "market",
        pl.col("limited") & pl.col("market").is_not_null() & pl.col("sees").is_null(),
        "be one that sees the sale, letter by letter",
    ),
    Check(
        FaultCode.NO_POSITION,
        "position",
        (pl.col("type") == EventType.IMPRESSION.value) & pl.col("position").is_null(),
        "be known of an impression, to correct for its effect",
    ),
)

_REPEATS: Final = (
    Check(
        FaultCode.DUPLICATE_EVENT,
        "event_id",
        pl.col("same"),
        "be unique to its customer; this row repeats an earlier one",
    ),
    Check(
        FaultCode.CONFLICTING_EVENT,
        "event_id",
        ~pl.col("same"),
        "be unique to its customer; this row contradicts an earlier one",
    ),
)
