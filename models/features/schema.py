"""Feature schema: ordered columns, their hash, and the feature matrix of a query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.catalogue.event_counts import GRID_US, RETENTION_HOURS
from models.domain.customer import WINDOW_EVENTS
from models.features.attributes import NO_ATTRIBUTES, AttributeFeatures
from models.features.caller_list import LISTED
from models.features.context import CONTEXT, POSITION_GROUP
from models.features.cross import CROSS
from models.features.customer import CUSTOMER
from models.features.feature import FeatureGroup, Scope, Values
from models.features.last_list import LAST_LIST
from models.features.sale import SALE
from models.kernel.features import Step, Steps
from models.neighbours.search import N_NEIGHBOURS
from models.query.customer_history import EVIDENCE, HALF_LIVES_S, INTEREST, LIST_S
from models.query.query import Batch, Query
from models.recommenders.recommender import Recommender

GROUPS: Final[tuple[FeatureGroup, ...]] = (
    CUSTOMER,
    SALE,
    CONTEXT,
    POSITION_GROUP,
    CROSS,
    LAST_LIST,
    LISTED,
)
"""Feature groups in column order; a shop's own columns and the scores of recommenders follow."""


@dataclass(frozen=True)
class _Part:
    # Columns of a group or recommender: first those of the kernel's step, then those of NumPy.
    start: int
    end: int
    step: Callable[[Catalogue], Step | None] | None
    values: Values | None


@dataclass(frozen=True)
class FeatureSchema:
    """The columns of a feature matrix for a set of recommenders.

    Attributes:
        recommenders: Recommenders whose scores are features, in order.
        attributes: Features of the shop's own columns.
    """

    recommenders: tuple[Recommender, ...]
    attributes: AttributeFeatures = NO_ATTRIBUTES

    @cached_property
    def groups(self) -> tuple[FeatureGroup, ...]:
        """Feature groups in column order, without the scores of recommenders."""
        return (*GROUPS, *self.attributes.groups)

    @cached_property
    def features(self) -> Mapping[str, tuple[Scope, str]]:
        """Scope and meaning of every feature by name, in the order of the columns."""
        described = {
            name: (group.scope, meaning)
            for group in self.groups
            for name, meaning in group.features.items()
        }
        for recommender in self.recommenders:
            for name, meaning in recommender.columns.items():
                described[name] = (Scope.RECOMMENDER, meaning)
        return described

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features in the order of the columns."""
        return tuple(self.features)

    @property
    def decreasing(self) -> frozenset[str]:
        """Names of features with a monotone decreasing effect."""
        return frozenset(name for group in GROUPS for name in group.decreasing)

    @property
    def hash(self) -> str:
        """Hash of the feature names and of the constants that they depend on."""
        # Another value of one of these changes features under the same names.
        constants: Sequence[object] = (
            WINDOW_EVENTS,
            HALF_LIVES_S,
            INTEREST.tolist(),
            EVIDENCE,
            N_NEIGHBOURS,
            GRID_US,
            RETENTION_HOURS,
            LIST_S,
        )
        described = "\n".join([*self.names, *map(repr, constants)])
        return sha256(described.encode()).hexdigest()

    def assemble(self, query: Query) -> NDArray[np.float32]:
        """Compute the feature matrix of a query.

        Args:
            query: Customer, catalogue, context and candidates.

        Returns:
            Shape ``(n_sales, n_features)``, C-contiguous, NaN where unknown. A row depends
            on its own sale only, and on the caller's list if there is one.
        """
        return self.assemble_batch(Batch.from_query(query))[0]

    def assemble_batch(self, batch: Batch) -> NDArray[np.float32]:
        """Compute the feature matrices of queries in one step, bit-identical to `assemble`.

        Args:
            batch: The queries.

        Returns:
            Shape ``(n_queries, n_sales, n_features)``; see `assemble`.
        """
        matrix = np.empty((*batch.rows.shape, len(self.names)), dtype=np.float32)
        batch.joined.fill(matrix, self._steps(batch.catalogue), rows=batch.rows)
        for part in self._parts:
            if part.values is not None:
                values = part.values(batch)
                matrix[..., part.end - values.shape[-1] : part.end] = values
        return matrix

    @cached
    def _steps(self, catalogue: Catalogue) -> Steps:
        steps = [(part.start, part.step(catalogue)) for part in self._parts if part.step]
        return Steps([(start, step) for start, step in steps if step is not None])

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        parts: list[_Part] = []
        for group in self.groups:
            start = parts[-1].end if parts else 0
            values = group.values if group.step is None else None
            parts.append(_Part(start, start + len(group.features), group.step, values))
        for one in self.recommenders:
            start = parts[-1].end
            parts.append(_Part(start, start + len(one.columns), one.step, one.plain_scores))
        return tuple(parts)
