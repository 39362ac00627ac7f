"""Attribute features: columns of the shop's own sales and customers, chosen in training."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.attributes import AttributeColumns
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Step
from models.query.query import Batch

# Chosen: names are columns of reports.
_NAME_CHARS: Final = 40


@dataclass(frozen=True)
class AttributeFeatures:
    """Features that a shop's own columns are; unlike others they differ between bundles.

    Attributes:
        sales: Attributes of sales.
        customers: Attributes of customers.
    """

    sales: AttributeColumns = field(default_factory=AttributeColumns)
    customers: AttributeColumns = field(default_factory=AttributeColumns)

    @cached_property
    def groups(self) -> tuple[FeatureGroup, ...]:
        """The groups of features, only those that have columns."""
        groups = (
            FeatureGroup(Scope.SALE, _meanings("sale", self.sales), shared=self._of_sales),
            FeatureGroup(
                Scope.CUSTOMER,
                _meanings("customer", self.customers),
                step=lambda _: Step.copying(len(self.customers)),
                given=lambda query: self.customers.row(query.profile.attributes),
            ),
        )
        return tuple(group for group in groups if group.features)

    def _of_sales(self, batch: Batch) -> NDArray[np.float64]:
        return self.table(batch.catalogue).take(batch.rows, axis=0)

    @cached
    def table(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return the columns of every sale of a catalogue, shape ``(n_catalogue, n_columns)``."""
        return self.sales.values([sale.attributes for sale in catalogue.sales])

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        return Arrays(
            {**self.sales.to_arrays("sale"), **self.customers.to_arrays("customer")}
        ).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is not such a file.
        """
        arrays = Arrays.from_bytes(content)
        return cls(
            AttributeColumns.from_arrays(arrays, "sale"),
            AttributeColumns.from_arrays(arrays, "customer"),
        )


NO_ATTRIBUTES: Final = AttributeFeatures()
"""The features of a shop without columns of its own."""


def _meanings(prefix: str, columns: AttributeColumns) -> Mapping[str, str]:
    meanings: dict[str, str] = {}
    for attribute, text in [*((name, None) for name in columns.numbers), *columns.texts]:
        meaning = f"The attribute {attribute!r} of the {prefix}; unknown without"
        if text is not None:
            meaning = (
                f"1 if the attribute {attribute!r} of the {prefix} is {text!r}; unknown without"
            )
        # LightGBM's text format takes no spaces, quotes or brackets in names.
        word = re.sub(r"\W+", "_", attribute if text is None else f"{attribute}_{text}")
        name = f"{prefix}.{word[:_NAME_CHARS]}"
        meanings[name if name not in meanings else f"{name}.{len(meanings)}"] = meaning
    return meanings
