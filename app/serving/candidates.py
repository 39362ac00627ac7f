"""Which sales may be shown to a customer now."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.catalogue import Catalogue


def candidates(
    catalogue: Catalogue, now_us: int, *, market: str | None, exclude: Sequence[str]
) -> NDArray[np.int64]:
    """Return the rows that may be shown: eligible now, and not excluded by the caller.

    Args:
        catalogue: All known sales.
        now_us: The moment, microseconds since the epoch.
        market: The customer's market; None asks for any.
        exclude: Sale ids that the caller does not want; unknown ones change nothing.

    Returns:
        Rows in ascending order, shape ``(n_candidates,)``.
    """
    rows = catalogue.eligible(market, now_us)
    if not exclude:
        return rows
    excluded = [row for row in map(catalogue.row_of, exclude) if row is not None]
    return rows[~np.isin(rows, excluded)]
