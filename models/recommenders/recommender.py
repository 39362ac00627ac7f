"""Recommender protocol: attributes and methods of every recommender."""

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.query.query import Batch, Query


class Recommender(Protocol):
    """Recommender: scores candidate sales; fitted in ``training``, stored in a bundle as arrays.

    Attributes:
        name: Name in bundles, variants and reports.
        columns: Meaning of each score column by its feature name; a policy of this recommender
            alone orders by the first one.
    """

    name: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]

    def batch_scores(self, batch: Batch, /) -> NDArray[np.float64]:
        """Score the candidates of queries, shape ``(n_queries, n_sales, n_columns)``.

        A row's bits depend on its query and sale only, not on other candidates or queries: that
        is what makes offline and online scores equal. NaN: unknown.
        """
        ...

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
