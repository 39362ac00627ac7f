"""Fits the session recommender: a regression of the next sale on those before it in a visit."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import IMPRESSION
from models.domain.units import SECOND_US
from models.query.customer_history import VISIT_GAP_S
from models.recommenders.collaborative import Collaborative
from models.recommenders.session import N_LAST, Session
from training.recommenders.content_encoder import weighted_covariance, whitening
from training.recommenders.interactions import Interactions

_RIDGE: Final = 300.0  # of the regression, in steps; chosen, not measured
_SCALE_RIDGE: Final = 0.2  # of the scaling of factors, see `whitening`; chosen, not measured
_TINY: Final = 1e-12  # variances below are rounding errors of null directions


def fit_session(interactions: Interactions, collaborative: Collaborative) -> Session:
    """Regress the position of the next sale of a visit on the sales before it.

    The factors have to be fitted on the same events; without any there are no axes.
    """
    factors = collaborative.factors(interactions.catalogue)
    looks = interactions.looks_by_sale()
    centre = looks @ factors / max(float(looks.sum()), 1.0)
    covariance = weighted_covariance(factors - centre, looks)
    axes = whitening(covariance, ridge=_SCALE_RIDGE, least=_TINY)
    coordinates = (factors - centre) @ axes
    visits, next_rows = visit_steps(interactions, coordinates)
    normal = visits.T @ visits + _RIDGE * np.eye(visits.shape[1])
    steps = np.linalg.solve(normal, visits.T @ coordinates[next_rows])
    return Session(collaborative, centre, axes, np.asarray(steps, dtype=np.float64))


def visit_steps(
    interactions: Interactions, coordinates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Describe the visit before every step, as the kernel does a query's (``features.c``).

    Args:
        interactions: The events.
        coordinates: Coordinates of every sale, shape ``(n_catalogue, n_axes)``.

    Returns:
        Descriptions, shape ``(n_steps, 4 * n_axes)``, and the row that each step leads to.
    """
    touched = (interactions.kinds != IMPRESSION) & (interactions.rows >= 0)
    kept = np.flatnonzero(touched)
    kept = kept[np.lexsort((interactions.at_us[kept], interactions.customers[kept]))]
    rows, customers = interactions.rows[kept], interactions.customers[kept]
    gap = np.diff(interactions.at_us[kept]) > VISIT_GAP_S * SECOND_US
    first = np.array([True])[: len(kept)]
    is_first = np.append(first, (customers[1:] != customers[:-1]) | gap)
    # Several events on one sale in a row, as a click and its cart, are one step.
    is_new = is_first | np.append(first, rows[1:] != rows[:-1])
    is_first, rows = is_first[is_new], rows[is_new]
    # Index of the first row of each row's visit.
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(rows)), 0))
    here = coordinates[rows]
    numbers = np.arange(len(rows))
    since = numbers - starts
    parts = [
        np.where((since >= back)[:, None], here[np.maximum(numbers - back, 0)], 0.0)
        for back in range(1, N_LAST + 1)
    ]
    sums = np.cumsum(here, axis=0) - here
    mean = (sums - sums[starts]) / np.maximum(since, 1)[:, None]
    is_step = since > 0
    return np.hstack([*parts, mean])[is_step], rows[is_step]
