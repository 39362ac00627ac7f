"""Attributes of sales as columns: numbers and flags as numbers, texts as indicators of values."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.sale import AttributeValue, Sale

# Texts a sale, chosen: an attribute with more of them names single sales, as an article number.
MAX_DISTINCT: Final = 0.5

# Characters of a name or a text, chosen: longer ones are descriptions, and every value of a bundle
# takes the room of the longest.
MAX_LENGTH: Final = 128

# Chosen: the squares of numbers up to here, and their sum over all sales, are finite.
_LARGEST: Final = 1e100

# Columns that pandas writes: the numbers of its rows, in Parquet, and read again from CSV.
_ROW_NUMBERS: Final = re.compile(r"__index_level_\d+__|Unnamed: \d+")


def unused_because(name: str, *, n_distinct: int, n_values: int, is_text: bool) -> str | None:
    """Return why an attribute says nothing about other sales, None if it may.

    Args:
        name: The attribute.
        n_distinct: Distinct values; of texts, those that `is_comparable`.
        n_values: Sales that have one.
        is_text: Whether its values are texts, which are compared, not ordered.
    """
    if n_distinct <= 1:
        none = f"has no text of at most {MAX_LENGTH} characters" if is_text else "has no value"
        return "has one value" if n_values else none
    if is_text and n_distinct > MAX_DISTINCT * n_values:
        return f"has {n_distinct:,} texts for {n_values:,} sales"
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


def attribute_numbers(sales: Sequence[Sale], names: Sequence[str]) -> NDArray[np.float64]:
    """Return numbers and flags (1 and 0) of sales by attribute.

    Args:
        sales: The sales.
        names: Attributes, one a column.

    Returns:
        Within 1e100 of 0; NaN where a sale has no such attribute, or a text. Shape
        ``(n_sales, n_names)``.
    """
    numbers = np.empty((len(sales), len(names)))
    for row, sale in enumerate(sales):
        values = [sale.attributes.get(name) for name in names]
        numbers[row] = [
            np.nan if value is None or isinstance(value, str) else value for value in values
        ]
    return numbers.clip(-_LARGEST, _LARGEST)


def mark_attribute_texts(
    sales: Sequence[Sale], place: dict[tuple[str, str], int], *, matrix: NDArray[np.float64]
) -> None:
    """Set the cells of a matrix to 1 where a sale has the text of a column.

    A number or a flag counts as its text: where one sale has a text, files have texts for all.

    Args:
        sales: The sales.
        place: Column by attribute and text.
        matrix: Changed in place, shape ``(n_sales, n_columns)``.
    """
    columns: defaultdict[str, dict[AttributeValue, int]] = defaultdict(dict)
    for (name, text), column in place.items():
        columns[name][text] = column
    rows: list[int] = []
    marked: list[int] = []
    for row, sale in enumerate(sales):
        for name, by_text in columns.items():
            value = sale.attributes.get(name)
            column = by_text.get(value if isinstance(value, str) else attribute_text(value))
            if column is not None:
                rows.append(row)
                marked.append(column)
    matrix[rows, marked] = 1.0
