"""Faults of a dataset: codes, effects, and the report of all faults found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import polars as pl

from models.domain.errors import UserError


class Effect(StrEnum):
    """Effect of a fault.

    ``file``: the dataset cannot be used. ``row``: the row is left out. ``gap``: something is
    missing, a value of a row that is kept, or in the whole dataset what models need. ``note``: no
    row is lost but repetitions and those of erased customers, which are left out.
    """

    FILE = "file"
    ROW = "row"
    GAP = "gap"
    NOTE = "note"


class FaultCode(StrEnum):
    """Codes of faults, which scripts may match on.

    Attributes:
        effect: Effect of faults of this code.
    """

    effect: Effect

    def __new__(cls, code: str, effect: Effect = Effect.ROW) -> Self:
        """Make a code; see `FaultCode`."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.effect = effect
        return member

    MISSING_FILE = "missing_file", Effect.FILE
    AMBIGUOUS_FILE = "ambiguous_file", Effect.FILE
    UNREADABLE_FILE = "unreadable_file", Effect.FILE
    MISSING_COLUMN = "missing_column", Effect.FILE
    WRONG_COLUMN_TYPE = "wrong_column_type", Effect.FILE
    TOO_MANY_COLUMNS = "too_many_columns", Effect.FILE
    CONFLICTING_RATE = "conflicting_rate", Effect.FILE
    TOO_MANY_MARKETS_TOGETHER = "too_many_markets_together", Effect.FILE

    # Rows that are left out.
    NOT_UTF8 = "not_utf8"
    MALFORMED_ROW = "malformed_row"
    MISSING_VALUE = "missing_value"
    EMPTY_TEXT = "empty_text"
    WRONG_LENGTH = "wrong_length"
    CONTROL_CHARACTER = "control_character"
    WRONG_TYPE = "wrong_type"
    UNPARSABLE_TIME = "unparsable_time"
    NAIVE_TIME = "naive_time"
    NOT_FINITE = "not_finite"
    NEGATIVE_NUMBER = "negative_number"
    OUT_OF_RANGE = "out_of_range"
    TOO_MANY_MARKETS = "too_many_markets"
    TOO_MANY_PICTURES = "too_many_pictures"
    CLOSES_BEFORE_OPENING = "closes_before_opening"
    DUPLICATE_SALE = "duplicate_sale"
    DUPLICATE_CUSTOMER = "duplicate_customer"
    CONFLICTING_EVENT = "conflicting_event"
    CONFLICTING_MERGE = "conflicting_merge"
    UNKNOWN_TYPE = "unknown_type"
    FUTURE = "future"
    TOO_OLD = "too_old"

    # Values that are missing in rows that are kept, and what is missing in the whole dataset.
    IMAGE_OUTSIDE = "image_outside", Effect.GAP
    MISSING_IMAGE = "missing_image", Effect.GAP
    BROKEN_IMAGE = "broken_image", Effect.GAP
    NO_SALES = "no_sales", Effect.GAP
    NO_EVENTS = "no_events", Effect.GAP
    MIXED_CURRENCIES = "mixed_currencies", Effect.GAP
    INFINITE_ATTRIBUTE = "infinite_attribute", Effect.GAP
    LONG_ATTRIBUTE = "long_attribute", Effect.GAP

    # Notes; rows with `ERASED` or `DUPLICATE_EVENT` are left out on purpose.
    UNKNOWN_COLUMN = "unknown_column", Effect.NOTE
    NOT_LEARNED = "not_learned", Effect.NOTE
    IMPORTED = "imported", Effect.NOTE
    RECEIVED_LATE = "received_late", Effect.NOTE
    ERASED = "erased", Effect.NOTE
    DUPLICATE_EVENT = "duplicate_event", Effect.NOTE
    UNKNOWN_SALE = "unknown_sale", Effect.NOTE
    MOST_SALES_UNKNOWN = "most_sales_unknown", Effect.NOTE
    BEFORE_OPENING = "before_opening", Effect.NOTE
    AFTER_CLOSE = "after_close", Effect.NOTE
    OTHER_MARKET = "other_market", Effect.NOTE
    NO_POSITION = "no_position", Effect.NOTE
    LATE_RATE = "late_rate", Effect.NOTE
    REFUND_WITHOUT_PURCHASE = "refund_without_purchase", Effect.NOTE


_SCHEMA: Final = {
    "file": pl.String,
    "row": pl.Int64,
    "column": pl.String,
    "code": pl.String,
    "effect": pl.String,
    "reason": pl.String,
    "record": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a dataset.

    Attributes:
        file: Name of the file below the dataset's directory.
        row: Data row from 1, a header not counted; None for a fault of the whole file.
        column: Name of the column, None if it is not about one.
        code: Code of the fault.
        reason: Description, with the value found.
        record: The original row, a JSON object; only of rows left out.
    """

    file: str
    row: int | None = None
    column: str | None = None
    code: FaultCode
    reason: str
    record: str | None = None

    def __str__(self) -> str:
        """Return place and reason, on one line."""
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.reason} [{self.code}]"


@dataclass(frozen=True, slots=True, eq=False)
class FaultReport:
    """Report of all faults found, as a table, since there may be millions.

    Attributes:
        table: Columns ``file, row, column, code, effect, reason, record``.
    """

    table: pl.DataFrame

    @classmethod
    def none(cls) -> Self:
        """Return the report of a dataset without faults."""
        return cls(pl.DataFrame(schema=_SCHEMA))

    @classmethod
    def from_faults(cls, faults: Iterable[Fault]) -> Self:
        """Return the report of single faults."""
        rows = [
            (f.file, f.row, f.column, f.code.value, f.code.effect.value, f.reason, f.record)
            for f in faults
        ]
        return cls(pl.DataFrame(rows, schema=_SCHEMA, orient="row"))

    @classmethod
    def concatenate(cls, reports: Iterable[Self]) -> Self:
        """Return one report of all faults, in order."""
        # The empty table first: there may be no report at all.
        return cls(pl.concat([pl.DataFrame(schema=_SCHEMA), *(each.table for each in reports)]))

    def __add__(self, later: "FaultReport") -> "FaultReport":
        """Return the faults of both."""
        return FaultReport(pl.concat([self.table, later.table]))

    def __len__(self) -> int:
        """Return the number of faults; a row may have several."""
        return self.table.height

    def __iter__(self) -> Iterator[Fault]:
        """Iterate over the faults, file by file as they were found."""
        for values in self.table.drop("effect").iter_rows(named=True):
            values["code"] = FaultCode(values["code"])
            yield Fault(**values)

    def for_part(self, part: str, *, file: str, n_before: int) -> "FaultReport":
        """Return the faults of a part as faults of its table.

        Args:
            part: Name of the part, prepended to the reasons.
            file: Name of the table.
            n_before: Rows of the parts before it.
        """
        columns = [
            pl.lit(file).alias("file"),
            pl.col("row") + n_before,
            (pl.lit(f"{part}, ") + pl.col("reason")).alias("reason"),
        ]
        return FaultReport(self.table.with_columns(columns))

    def having(self, *effects: Effect) -> "FaultReport":
        """Return only the faults with one of these effects."""
        return FaultReport(self.table.filter(pl.col("effect").is_in([*effects])))

    def with_codes(self, *codes: FaultCode) -> "FaultReport":
        """Return only the faults of these codes."""
        return FaultReport(self.table.filter(pl.col("code").is_in([*codes])))

    def unusable(self) -> bool:
        """Return whether a fault makes a whole file unusable."""
        return bool(len(self.having(Effect.FILE)))

    def first(self, n: int) -> list[Fault]:
        """Return the first ``n`` faults."""
        return list(FaultReport(self.table.head(n)))

    def by_kind(self) -> "list[FaultReport]":
        """Divide them by file, column and code, in the order of their first faults."""
        parts = self.table.partition_by("code", "file", "column", maintain_order=True)
        return [FaultReport(part) for part in parts]

    def remarks(self) -> list[Fault]:
        """Return the notes on whole files, which commands print before they continue."""
        whole = self.having(Effect.GAP, Effect.NOTE).table.filter(pl.col("row").is_null())
        return list(FaultReport(whole))

    def counts(self) -> dict[FaultCode, int]:
        """Count the faults by code, in the order of `FaultCode`."""
        counted = dict(self.table.group_by("code").len().iter_rows())
        return {code: counted[code] for code in FaultCode if code in counted}

    def refused_rows(self, file: str) -> list[int]:
        """Return the rows of a file that are left out, ascending."""
        refused = self.table.filter(
            (pl.col("file") == file)
            & (pl.col("effect") == Effect.ROW)
            & pl.col("row").is_not_null()
        )
        return refused["row"].unique().sort().to_list()

    def n_refused(self) -> dict[str, int]:
        """Count the rows that are left out, by file."""
        refused = self.table.filter(pl.col("effect") == Effect.ROW)
        counted = refused.group_by("file").agg(pl.col("row").n_unique())
        return dict(sorted(counted.iter_rows()))


class DatasetError(UserError):
    """A dataset that cannot be used; `faults` holds all faults found so far."""

    # Chosen: a message that fits on a screen.
    SHOWN: Final = 20
    _OF_A_KIND: Final = 3

    def __init__(self, faults: FaultReport) -> None:
        """List up to three faults of each kind, and `SHOWN` in all."""
        # What makes the dataset unusable first, as only some are shown.
        lesser = faults.having(Effect.ROW, Effect.GAP)
        lines: list[str] = []
        for kind in (faults.having(Effect.FILE) + lesser).by_kind():
            shown = kind.first(self._OF_A_KIND)
            lines += map(str, shown)
            if n_more := len(kind) - len(shown):
                lines.append(f"{shown[0].file}: {n_more:,} more [{shown[0].code}]")
        if len(lines) > self.SHOWN:
            lines = [*lines[: self.SHOWN], "and more"]
        super().__init__("\n".join(["the dataset cannot be used:", *lines]))
        self.faults = faults
