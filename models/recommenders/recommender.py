"""What every recommender is."""

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.query.query import Batch, Query


class Recommender(Protocol):
    """Scores candidate sales; fitted in ``training``, kept in a bundle as arrays.

    Attributes:
        name: Name in bundles, variants and reports.
        columns: What each score column is called as a feature, with its meaning; the first
            one orders the sales where the recommender serves alone.
    """

    name: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score the candidates of queries, shape ``(n_queries, n_sales, n_columns)``.

        A row depends on its query and sale only, to the bit, not on the other candidates, nor
        on the queries beside it. NaN says that nothing is known.
        """
        ...

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score the candidates of one query, shape ``(n_sales, n_columns)``."""
        return self.batch_scores(Batch.alone(query))[0]

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return what was fitted, for `from_arrays`."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore a fitted recommender."""
        ...
