"""Feature schema: ordered columns, their hash, and the feature matrix of a query."""

from collections.abc import Mapping, Sequence
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
from models.features.feature import FeatureGroup, Given, Scope, Shared
from models.features.last_list import LAST_LIST
from models.features.sale import SALE
from models.kernel.steps import Step, Steps
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
class _Plan:
    # How the columns of a catalogue's sales are computed: by steps of the kernel, which read the
    # given numbers in this order, and the columns between them that all customers share.
    steps: Steps
    given: tuple[Given, ...]
    shared: tuple[Shared, ...]


# Compared by identity: the hash of all recommenders would take part of each answer.
@dataclass(frozen=True, eq=False)
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
        plan = self._plan(batch.catalogue)
        given = [[number for own in plan.given for number in own(one)] for one in batch.queries]
        matrix = batch.joined.matrices(
            plan.steps,
            rows=batch.rows,
            given=np.array(given, dtype=np.float64),
            shared=self._shared(batch, plan),
        )
        start = 0
        for group in self.groups:
            values = group.replaced(batch) if group.replaced else None
            if values is not None:
                matrix[..., start : start + len(group.features)] = values
            start += len(group.features)
        return matrix

    def steps(self, catalogue: Catalogue) -> Sequence[Step]:
        """Return the steps of the kernel for the sales of a catalogue."""
        return self._plan(catalogue).steps.steps

    def _shared(self, batch: Batch, plan: _Plan) -> NDArray[np.float32]:
        # Kept for all customers of a group who choose from the same candidates.
        groups = tuple(
            [tuple([one.shared_by(query) for one in self.recommenders]) for query in batch.queries]
        )

        return batch.cache.get_or_make((self, groups), lambda: _shared_columns(batch, plan))

    @cached
    def _plan(self, catalogue: Catalogue) -> _Plan:
        steps: list[tuple[int, Step]] = []
        given: list[Given] = []
        shared: list[Shared] = []
        shared_columns: list[int] = []
        start = 0
        for group in self.groups:
            end = start + len(group.features)
            if group.step is not None:
                steps.append((start, group.step(catalogue)))
                given.append(group.given)
            elif group.shared is not None:
                shared_columns += range(start, end)
                shared.append(group.shared)
            start = end
        for one in self.recommenders:
            end, step = start + len(one.columns), one.step(catalogue)
            first = end if step is None else end - step.width if one.is_shared_first else start
            n_computed = 0 if step is None else step.width
            if step is not None:
                steps.append((first, step))
                given.append(one.given)
            if n_computed < len(one.columns):
                shared_columns += [*range(start, first), *range(first + n_computed, end)]
                shared.append(one.shared_scores)
            start = end
        packed = Steps(steps, n_columns=start, shared_columns=shared_columns)
        return _Plan(packed, tuple(given), tuple(shared))


def _shared_columns(batch: Batch, plan: _Plan) -> NDArray[np.float32]:
    parts = [np.empty((*batch.rows.shape, 0)), *(one(batch) for one in plan.shared)]
    return np.concatenate(parts, axis=-1).astype(np.float32)
