"""Recommender protocol: attributes and methods of every recommender."""

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.kernel.steps import Step
from models.query.query import Batch, Query


class Recommender(Protocol):
    """Recommender: scores candidate sales; fitted in ``training``, stored in a bundle as arrays.

    What depends on the customer is computed by the kernel, for all recommenders in one call
    (`step`); what customers share is computed by NumPy and kept (`shared_scores`).

    Attributes:
        name: Name in bundles, variants and reports.
        columns: Meaning of each score column by its feature name; a policy of this recommender
            alone orders by the first one.
        is_shared_first: Whether the columns that customers share come before those of the step.
    """

    name: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]
    is_shared_first: ClassVar[bool] = False

    def step(self, catalogue: Catalogue, /) -> Step | None:
        """Return the step by which the kernel computes columns; None without any."""
        del catalogue
        return None

    def given(self, query: Query, /) -> Sequence[float]:
        """Return the numbers of a query that the step reads."""
        del query
        return ()

    def shared_scores(self, batch: Batch, /) -> NDArray[np.float64]:
        """Compute the other columns by NumPy, shape ``(n_queries, n_sales, n_others)``."""
        return np.empty((*batch.rows.shape, 0))

    def shared_by(self, query: Query, /) -> Hashable:
        """Return what `shared_scores` read of a query beside its candidates: its group."""
        del query
        return None

    def batch_scores(self, batch: Batch, /) -> NDArray[np.float64]:
        """Score the candidates of queries, shape ``(n_queries, n_sales, n_columns)``.

        A row's bits depend on its query and sale only, not on other candidates or queries: that
        is what makes offline and online scores equal. NaN: unknown.
        """
        step = self.step(batch.catalogue)
        shared = self.shared_scores(batch)
        if step is None:
            return shared
        parts = [batch.compute(step, self.given), shared]
        return np.concatenate(parts[::-1] if self.is_shared_first else parts, axis=-1)

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score the candidates of one query, shape ``(n_sales, n_columns)``."""
        return self.batch_scores(Batch.from_query(query))[0]

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays, for `from_arrays`."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore a fitted recommender."""
        ...
