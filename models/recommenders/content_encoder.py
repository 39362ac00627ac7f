"""Describes the content of a sale by numbers: what its picture shows, its attributes, its price."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.catalogue.columns import Vocabulary

_N_PRICES: Final = 2


@dataclass(frozen=True, eq=False)
class Encoder:
    """A centred vector for every sale; what is unknown of a sale stands at the centre.

    Attributes:
        values: Column and value of each attribute indicator.
        picture_centre: Mean picture vector, shape ``(128,)``.
        picture_axes: Directions in which pictures differ most, shape ``(128, n_axes)``.
        topic_centre: Mean topic shares, shape ``(n_topics,)``.
        look_centre: Mean looks, shape ``(4,)``.
        look_scale: Their standard deviations, positive, shape ``(4,)``.
        value_centre: How common each value is, shape ``(n_values,)``.
        price_centre: Means of log price and discount, shape ``(2,)``.
        price_scale: Their standard deviations, positive, shape ``(2,)``.
    """

    values: tuple[tuple[str, str], ...]
    picture_centre: NDArray[np.float64]
    picture_axes: NDArray[np.float64]
    topic_centre: NDArray[np.float64]
    look_centre: NDArray[np.float64]
    look_scale: NDArray[np.float64]
    value_centre: NDArray[np.float64]
    price_centre: NDArray[np.float64]
    price_scale: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Length of a vector."""
        return (
            self.picture_axes.shape[1]
            + len(self.topic_centre)
            + len(self.look_centre)
            + len(self.value_centre)
            + len(self.price_centre)
        )

    def encode(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Describe every sale of a catalogue.

        A row does not depend, in any bit, on the rows beside it.

        Args:
            catalogue: The sales.

        Returns:
            Shape ``(n_catalogue, size)``.
        """
        pictured = catalogue.pictured[:, None]
        pictures = np.einsum(
            "ij,jk->ik", catalogue.embeddings - self.picture_centre, self.picture_axes
        )
        looks = (catalogue.looks - self.look_centre) / self.look_scale
        prices = (prices_of(catalogue) - self.price_centre) / self.price_scale
        return np.hstack(
            [
                np.where(pictured, pictures, 0.0),
                np.where(pictured, self._topics(catalogue), 0.0),
                np.where(pictured, looks, 0.0),
                indicators(catalogue.vocabulary, self.values) - self.value_centre,
                np.nan_to_num(prices, nan=0.0),
            ]
        )

    def _topics(self, catalogue: Catalogue) -> NDArray[np.float64]:
        if catalogue.topics.shape[1] != len(self.topic_centre):
            return np.zeros((len(catalogue), len(self.topic_centre)))
        return catalogue.topics - self.topic_centre

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted; see `from_arrays`."""
        columns, names = np.array(self.values, dtype=np.str_).reshape(-1, 2).T
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {"value_columns": columns, "value_names": names, **numbers}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore an encoder.

        Raises:
            ValueError: If an array is missing or does not fit its partners.
        """
        columns, names = arrays.strings("value_columns"), arrays.strings("value_names")
        numbers = {name: arrays.floats(name) for name in _NUMBERS}
        encoder = cls(tuple(zip(columns, names, strict=True)), **numbers)
        if len(encoder.value_centre) != len(names) or len(encoder.price_scale) != _N_PRICES:
            msg = f"an encoder of {len(names)} values has {len(encoder.value_centre)} means"
            raise ValueError(msg)
        return encoder


_NUMBERS: Final = tuple(f.name for f in fields(Encoder) if f.name != "values")


def indicators(vocabulary: Vocabulary, values: tuple[tuple[str, str], ...]) -> NDArray[np.float64]:
    """Tell which sales have which values.

    Args:
        vocabulary: Values of the sales.
        values: Column and value to look for.

    Returns:
        1 where a sale has a value, else 0, shape ``(n_sales, n_values)``.
    """
    place = {value: index for index, value in enumerate(values)}
    # Codes count from 1, and 0 says that a sale has no value.
    places = np.array([-1, *(place.get(value, -1) for value in vocabulary.values)])
    found = places[vocabulary.codes]
    known = found >= 0
    matrix = np.zeros((len(found), len(values)))
    matrix[np.nonzero(known)[0], found[known]] = 1.0
    return matrix


def prices_of(catalogue: Catalogue) -> NDArray[np.float64]:
    """Return log price and discount, NaN where unknown, shape ``(n_catalogue, 2)``."""
    return np.stack([catalogue.log_price, catalogue.discount], axis=1)


@dataclass(frozen=True, eq=False)
class Projection:
    """Places sales in a space of few dimensions, by their content alone.

    Attributes:
        encoder: Describes the content.
        axes: What each dimension is made of, shape ``(size, n_dimensions)``.
    """

    encoder: Encoder
    axes: NDArray[np.float64]

    @property
    def n_dimensions(self) -> int:
        """Number of dimensions."""
        return self.axes.shape[1]

    def of(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Place every sale of a catalogue, shape ``(n_catalogue, n_dimensions)``; read only.

        Computed once for the same sales, whatever their counts are.
        """
        return self._places.of(catalogue)

    @cached_property
    def _places(self) -> CatalogueCache[NDArray[np.float64]]:
        return CatalogueCache(self._placed)

    def _placed(self, catalogue: Catalogue) -> NDArray[np.float64]:
        placed = np.einsum("ij,jk->ik", self.encoder.encode(catalogue), self.axes)
        placed.flags.writeable = False
        return placed

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted; see `from_arrays`."""
        return {**self.encoder.to_arrays(), "axes": self.axes}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore a projection.

        Raises:
            ValueError: If an array is missing or does not fit its partners.
        """
        encoder, axes = Encoder.from_arrays(arrays), arrays.floats("axes")
        if len(axes) != encoder.size:
            msg = f"{len(axes)} rows of axes for vectors of length {encoder.size}"
            raise ValueError(msg)
        return cls(encoder, axes)
