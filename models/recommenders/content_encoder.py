"""Content features of a sale as one vector: picture, topics, texts, price and attributes."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.attributes import attribute_numbers, mark_attribute_texts, text_columns
from models.catalogue.catalogue import Catalogue, SaleContent
from models.catalogue.catalogue_cache import cached
from models.domain.sale import AttributeValues

# Log price and discount.
_N_PRICES: Final = 2
# Chosen: in standard deviations; shops also write 999999 where they do not know a number.
_MAX_NUMBER: Final = 5.0


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encodes sales as centred vectors; an unknown picture or number is 0, an unknown text is none.

    Attributes:
        values: Column or attribute, and text, of each one-hot value.
        numbers: Attributes of sales that are numbers or flags.
        picture_centre: Mean picture vector, shape ``(128,)``.
        picture_axes: Principal axes of the picture vectors, shape ``(128, n_axes)``.
        topic_centre: Mean topic shares, shape ``(n_topics,)``.
        statistics_centre: Mean image statistics, shape ``(4,)``.
        statistics_scale: Their standard deviations, positive, shape ``(4,)``.
        value_centre: Share of sales with each value, shape ``(n_values,)``.
        number_centre: Means of log price, discount and ``numbers``, shape ``(2 + n_numbers,)``.
        number_scale: Their standard deviations, positive, same shape.
    """

    values: tuple[tuple[str, str], ...]
    numbers: tuple[str, ...]
    picture_centre: NDArray[np.float64]
    picture_axes: NDArray[np.float64]
    topic_centre: NDArray[np.float64]
    statistics_centre: NDArray[np.float64]
    statistics_scale: NDArray[np.float64]
    value_centre: NDArray[np.float64]
    number_centre: NDArray[np.float64]
    number_scale: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Length of a vector."""
        return (
            self.picture_axes.shape[1]
            + len(self.topic_centre)
            + len(self.statistics_centre)
            + len(self.value_centre)
            + len(self.number_centre)
        )

    def encode(
        self, catalogue: Catalogue, rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Encode sales of a catalogue.

        A row's bits do not depend on the other rows: einsum, not BLAS.

        Args:
            catalogue: The sales.
            rows: Rows of those that are encoded, shape ``(n,)``; None for all.

        Returns:
            Shape ``(n, size)``.
        """
        at = slice(None) if rows is None else rows
        pictured = catalogue.pictured[at, None]
        pictures = np.einsum(
            "ij,jk->ik", catalogue.embeddings[at] - self.picture_centre, self.picture_axes
        )
        # A catalogue without a scene model has no topics.
        has_topics = catalogue.topics.shape[1] == len(self.topic_centre)
        topics = catalogue.topics[at] - self.topic_centre if has_topics else self.topic_centre * 0.0
        statistics = (
            catalogue.image_statistics[at] - self.statistics_centre
        ) / self.statistics_scale
        numbers = number_columns(catalogue, self.numbers, rows=rows)
        numbers = (numbers - self.number_centre) / self.number_scale
        return np.hstack(
            [
                np.where(pictured, pictures, 0.0),
                np.where(pictured, topics, 0.0),
                np.where(pictured, statistics, 0.0),
                indicators(catalogue, self.values, rows=rows) - self.value_centre,
                # Standardised: 0 is the mean.
                np.nan_to_num(numbers, nan=0.0).clip(-_MAX_NUMBER, _MAX_NUMBER),
            ]
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `from_arrays`."""
        columns, names = np.array(self.values, dtype=np.str_).reshape(-1, 2).T
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        numbers = np.array(self.numbers, dtype=np.str_)
        return {"value_columns": columns, "value_names": names, "numbers": numbers, **arrays}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore an encoder.

        Raises:
            ValueError: If an array is missing or its shape does not fit the others.
        """
        columns, names = arrays.strings("value_columns"), arrays.strings("value_names")
        numbers = arrays.strings("numbers")
        fitted = {name: arrays.floats(name) for name in _ARRAYS}
        encoder = cls(tuple(zip(columns, names, strict=True)), tuple(numbers), **fitted)
        if len(encoder.value_centre) != len(names):
            msg = f"an encoder of {len(names)} values has {len(encoder.value_centre)} means"
            raise ValueError(msg)
        if len(encoder.number_scale) != _N_PRICES + len(numbers):
            msg = f"an encoder of {len(numbers)} numbers has {len(encoder.number_scale)} scales"
            raise ValueError(msg)
        return encoder


_ARRAYS: Final = tuple(f.name for f in fields(Encoder) if f.name not in {"values", "numbers"})


def indicators(
    catalogue: Catalogue,
    values: tuple[tuple[str, str], ...],
    *,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """One-hot encode texts of sales.

    Args:
        catalogue: The sales.
        values: Column or attribute, and text, of each output column.
        rows: Rows of the sales, shape ``(n,)``; None for all.

    Returns:
        1 where a sale has a value, else 0, shape ``(n, n_values)``.
    """
    place = {value: index for index, value in enumerate(values)}
    # Codes count from 1; 0 is a missing value.
    places = np.array([-1, *(place.get(value, -1) for value in catalogue.vocabulary.values)])
    found = places[catalogue.vocabulary.codes[slice(None) if rows is None else rows]]
    known = found >= 0
    matrix = np.zeros((len(found), len(values)))
    matrix[np.nonzero(known)[0], found[known]] = 1.0
    mark_attribute_texts(_attributes(catalogue, rows), text_columns(place), matrix=matrix)
    return matrix


def number_columns(
    catalogue: Catalogue, names: tuple[str, ...], *, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return log price, discount and attributes, NaN where unknown; see `indicators`.

    Returns:
        Shape ``(n, 2 + n_names)``.
    """
    at = slice(None) if rows is None else rows
    prices = np.stack([catalogue.log_price[at], catalogue.discount[at]], axis=1)
    return np.hstack([prices, attribute_numbers(_attributes(catalogue, rows), names)])


def _attributes(catalogue: Catalogue, rows: NDArray[np.int64] | None) -> list[AttributeValues]:
    if rows is None:
        return [sale.attributes for sale in catalogue.sales]
    chosen: list[int] = rows.tolist()
    return [catalogue.sales[row].attributes for row in chosen]


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear projection of content vectors to a few dimensions.

    Attributes:
        encoder: Encodes the content.
        axes: Weights of each dimension, shape ``(size, n_dimensions)``.
    """

    encoder: Encoder
    axes: NDArray[np.float64]

    @property
    def n_dimensions(self) -> int:
        """Number of dimensions."""
        return self.axes.shape[1]

    @cached
    def project(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Project every sale of a catalogue, shape ``(n_catalogue, n_dimensions)``; read only."""
        projected = self._table.projected(catalogue)
        projected.flags.writeable = False
        return projected

    @cached_property
    def _table(self) -> "_Table":
        return _Table(self)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `from_arrays`."""
        return {**self.encoder.to_arrays(), "axes": self.axes}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore a projection.

        Raises:
            ValueError: If an array is missing or its shape does not fit the others.
        """
        encoder, axes = Encoder.from_arrays(arrays), arrays.floats("axes")
        if len(axes) != encoder.size:
            msg = f"{len(axes)} rows of axes for vectors of length {encoder.size}"
            raise ValueError(msg)
        return cls(encoder, axes)


class _Table:
    """Projects successive catalogues; sales that the previous one had are not projected again."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._before: tuple[SaleContent, NDArray[np.float64]] | None = None

    def projected(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Project every sale, shape ``(n_catalogue, n_dimensions)``."""
        before, axes = self._before, self._projection.axes
        reuse = None if before is None else before[0].reused_by(catalogue)
        encoded = self._projection.encoder.encode(catalogue, None if reuse is None else reuse.new)
        found = np.einsum("ij,jk->ik", encoded, axes)
        if before is not None and reuse is not None:
            found = reuse.column(before[1], found)
        self._before = catalogue.content, found
        return found
