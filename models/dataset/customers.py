"""Customer table: the rows of ``customers``, and which of their columns models can learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.attributes import MAX_LENGTH
from models.dataset.attributes import read_attributes, unused_columns
from models.dataset.checks import Check, find_faults, without_refused
from models.dataset.conversion import convert
from models.dataset.erasures import Erasures
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.schema import CUSTOMERS, MAX_ATTRIBUTES, MAX_CUSTOMER_ATTRIBUTES
from models.dataset.tables import Table
from models.domain.sale import AttributeValue


@dataclass(frozen=True, slots=True, eq=False)
class AttributeColumn:
    """A dictionary-encoded attribute.

    Attributes:
        values: Its distinct values.
        codes: Index into ``values`` of each customer, -1 where unknown, shape ``(n,)``.
    """

    values: Sequence[AttributeValue]
    codes: NDArray[np.int32]

    @classmethod
    def from_series(cls, column: pl.Series) -> Self:
        """Encode a column."""
        distinct = column.drop_nulls().unique().sort()
        codes = pl.int_range(len(distinct), dtype=pl.Int32, eager=True)
        coded = column.replace_strict(distinct, codes, default=-1, return_dtype=pl.Int32)
        return cls(distinct.to_list(), coded.to_numpy())


@dataclass(frozen=True, slots=True, eq=False)
class CustomerTable:
    """Customers with their attributes.

    Attributes:
        customer_ids: Their ids, shape ``(n,)``.
        columns: Attributes by name, each of shape ``(n,)``.
    """

    customer_ids: pl.Series
    columns: Mapping[str, AttributeColumn]

    @classmethod
    def none(cls, customer_ids: pl.Series) -> Self:
        """Return customers without attributes."""
        return cls(customer_ids, {})

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.customer_ids)

    def attributes(self, row: int) -> dict[str, AttributeValue]:
        """Return the known attributes of a customer by name."""
        return {
            name: column.values[code]
            for name, column in self.columns.items()
            if (code := int(column.codes[row])) >= 0
        }

    def aligned(self, customer_ids: pl.Series) -> Self:
        """Return these customers in this order; those without a row have no attributes."""
        rows = pl.int_range(len(self), eager=True)
        found = customer_ids.replace_strict(
            self.customer_ids, rows, default=-1, return_dtype=pl.Int64
        ).to_numpy()
        # Row -1, of a customer without one, reads the appended code.
        columns = {
            name: AttributeColumn(column.values, np.append(column.codes, np.int32(-1))[found])
            for name, column in self.columns.items()
        }
        return type(self)(customer_ids, columns)


def read_customers(table: Table, erasures: Erasures) -> tuple[CustomerTable | None, FaultReport]:
    """Validate the rows of a customers file.

    Columns that no model can learn from are noted and not kept: names and addresses go no further.

    Args:
        table: The unconverted table.
        erasures: Customers whose rows are left out.

    Returns:
        The customers, None if the file as a whole cannot be used, and the faults.
    """
    frame, faults = convert(table, CUSTOMERS)
    found = read_attributes(table, [column.name for column in CUSTOMERS], most=MAX_ATTRIBUTES)
    faults += found.faults
    if faults.unusable():
        return None, faults
    texts = [name for name, values in found.columns.items() if values.dtype == pl.String]
    frame = frame.with_columns(
        values.alias(_read(name)) for name, values in found.columns.items()
    ).with_columns(
        pl.when(pl.col(_read(name)).str.len_chars() <= MAX_LENGTH).then(pl.col(_read(name)))
        for name in texts
    )
    frame, faults = erasures.apply(frame, faults, file=table.file)
    faults += find_faults(frame, _CHECKS, file=table.file)
    frame = without_refused(frame, faults, file=table.file)
    columns = {name: frame[_read(name)] for name in found.columns}
    reasons = unused_columns(columns, table="customers")
    usable = [name for name in columns if name not in reasons]
    beyond = f"comes after {MAX_CUSTOMER_ATTRIBUTES} others that models can learn from"
    reasons |= dict.fromkeys(usable[MAX_CUSTOMER_ATTRIBUTES:], beyond)
    faults += FaultReport.from_faults(
        [
            table.fault(
                FaultCode.NOT_LEARNED,
                f"column {name!r} of customers {why}: no model reads it, and it is not kept",
                column=name,
            )
            for name, why in reasons.items()
        ]
    )
    kept = {name: columns[name] for name in usable[:MAX_CUSTOMER_ATTRIBUTES]}
    encoded = {name: AttributeColumn.from_series(values) for name, values in kept.items()}
    return CustomerTable(frame["customer_id"], encoded), faults


def _read(name: str) -> str:
    # The column of an attribute's converted values; no column of a file can have this name.
    return f"\x00attribute {name}"


_CHECKS: Final = (
    Check(
        FaultCode.DUPLICATE_CUSTOMER,
        "customer_id",
        pl.col("customer_id").is_not_null() & ~pl.col("customer_id").is_first_distinct(),
        "be unique; an earlier row has it",
    ),
)
