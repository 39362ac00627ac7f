"""Attributes as columns: numbers and flags as numbers, texts as indicators of values."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.sale import AttributeValue, AttributeValues

# Texts a sale, chosen: an attribute with more of them names single sales, as an article number.
MAX_DISTINCT: Final = 0.5

# Characters of a name or a text, chosen: longer ones are descriptions, and every value of a bundle
# takes the room of the longest.
MAX_LENGTH: Final = 128

# Chosen: the squares of numbers up to here, and their sum over all sales, are finite.
_LARGEST: Final = 1e100

# Columns that pandas writes: the numbers of its rows, in Parquet, and read again from CSV.
_ROW_NUMBERS: Final = re.compile(r"__index_level_\d+__|Unnamed: \d+")


def unused_because(
    name: str, *, n_distinct: int, n_values: int, is_text: bool, table: str = "sales"
) -> str | None:
    """Return why an attribute says nothing about other sales or customers, None if it may.

    Args:
        name: The attribute.
        n_distinct: Distinct values; of texts, those that `is_comparable`.
        n_values: Sales or customers that have one.
        is_text: Whether its values are texts, which are compared, not ordered.
        table: Whose attribute it is, ``sales`` or ``customers``.
    """
    if n_distinct <= 1:
        none = f"has no text of at most {MAX_LENGTH} characters" if is_text else "has no value"
        return "has one value" if n_values else none
    if is_text and n_distinct > MAX_DISTINCT * n_values:
        return f"has {n_distinct:,} texts for {n_values:,} {table}"
    if _ROW_NUMBERS.fullmatch(name):
        return "has the name of row numbers, which pandas writes with its index"
    return None


def is_comparable(text: str) -> bool:
    """Tell whether a name or a text of an attribute can be a value that sales are compared by."""
    # Arrays of texts drop zeros at the end, and another text would be read back.
    return len(text) <= MAX_LENGTH and not text.endswith("\0")


def attribute_text(value: AttributeValue) -> str | None:
    """Return a value as files have it where others of its attribute are texts."""
    # As JSON and the dataset contract write them: `true`, not `True`.
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


TextColumns = Mapping[str, Mapping[AttributeValue, int]]
"""Column by attribute and text."""


def attribute_numbers(
    described: Sequence[AttributeValues], names: Sequence[str]
) -> NDArray[np.float64]:
    """Return numbers and flags (1 and 0) by attribute.

    Args:
        described: Attributes of sales or customers.
        names: Attributes, one a column.

    Returns:
        Within 1e100 of 0; NaN where there is no such attribute, or a text. Shape
        ``(n, n_names)``.
    """
    numbers = np.empty((len(described), len(names)))
    for row, attributes in enumerate(described):
        values = [attributes.get(name) for name in names]
        numbers[row] = [
            np.nan if value is None or isinstance(value, str) else value for value in values
        ]
    return numbers.clip(-_LARGEST, _LARGEST)


def text_columns(place: Mapping[tuple[str, str], int]) -> TextColumns:
    """Group columns by attribute and text, for `mark_attribute_texts`."""
    columns: defaultdict[str, dict[AttributeValue, int]] = defaultdict(dict)
    for (name, text), column in place.items():
        columns[name][text] = column
    return columns


def mark_attribute_texts(
    described: Sequence[AttributeValues], columns: TextColumns, *, matrix: NDArray[np.float64]
) -> None:
    """Set the cells of a matrix to 1 where a sale or customer has the text of a column.

    A number or a flag counts as its text: where one sale has a text, files have texts for all.

    Args:
        described: Attributes of sales or customers.
        columns: Column by attribute and text.
        matrix: Changed in place, shape ``(n, n_columns)``.
    """
    rows: list[int] = []
    marked: list[int] = []
    for row, attributes in enumerate(described):
        for name, by_text in columns.items():
            value = attributes.get(name)
            column = by_text.get(value if isinstance(value, str) else attribute_text(value))
            if column is not None:
                rows.append(row)
                marked.append(column)
    matrix[rows, marked] = 1.0


@dataclass(frozen=True)
class AttributeColumns:
    """Columns of attributes: numbers, then indicators of texts.

    Attributes:
        numbers: Attributes that are numbers or flags.
        texts: Attribute and text of each indicator.
    """

    numbers: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.numbers) + len(self.texts)

    @property
    def names(self) -> frozenset[str]:
        """The attributes that any column is of."""
        return frozenset([*self.numbers, *(name for name, _ in self.texts)])

    def values(self, described: Sequence[AttributeValues]) -> NDArray[np.float64]:
        """Return the columns of sales or customers.

        Args:
            described: Their attributes.

        Returns:
            NaN where the attribute is unknown; an indicator is 1 where it has the text, and 0
            where it has another value. Shape ``(n, n_columns)``.
        """
        rows = [self.row(attributes) for attributes in described]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self))

    def row(self, attributes: AttributeValues) -> list[float]:
        """Return the columns of one sale or customer, see `values`.

        Without NumPy, whose calls take longer than the few columns of a customer.
        """
        row = [math.nan] * len(self)
        for column, name in enumerate(self.numbers if attributes else ()):
            value = attributes.get(name)
            if value is not None and not isinstance(value, str):
                row[column] = min(max(float(value), -_LARGEST), _LARGEST)
        for name, by_text in self._text_columns.items() if attributes else ():
            value = attributes.get(name)
            if value is None:
                continue
            text = value if isinstance(value, str) else attribute_text(value)
            for of_text, column in by_text.items():
                row[column] = float(of_text == text)
        return row

    @cached_property
    def _text_columns(self) -> TextColumns:
        n_numbers = len(self.numbers)
        return text_columns({value: n_numbers + place for place, value in enumerate(self.texts)})

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Return the columns as arrays whose names begin with a prefix; see `from_arrays`."""
        names, texts = np.array(self.texts, dtype=np.str_).reshape(-1, 2).T
        return {
            f"{prefix}_numbers": np.array(self.numbers, dtype=np.str_),
            f"{prefix}_text_names": names,
            f"{prefix}_texts": texts,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> Self:
        """Restore columns.

        Raises:
            ValueError: If an array is missing, or the names do not fit the texts.
        """
        names, texts = arrays.strings(f"{prefix}_text_names"), arrays.strings(f"{prefix}_texts")
        numbers = arrays.strings(f"{prefix}_numbers")
        return cls(tuple(numbers), tuple(zip(names, texts, strict=True)))
