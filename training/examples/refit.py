"""Recommenders fitted again and again as time goes by, as every night does."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.query.query import Batch, Query
from models.recommenders.content_profile import Content
from models.recommenders.image_similarity import Images
from models.recommenders.recommender import Recommender
from training.examples.slates import Slates
from training.recommenders.collaborative import fit_collaborative
from training.recommenders.content_preference import fit_taste
from training.recommenders.covisitation import fit_covisitation
from training.recommenders.interactions import Interactions
from training.recommenders.popularity import fit_popularity
from training.recommenders.segment_popularity import fit_audience
from training.recommenders.session import fit_session
from training.recommenders.text_similarity import fit_text

REFIT_SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""After which shares of the slates recommenders are fitted again."""


def fit_recommenders(interactions: Interactions) -> tuple[Recommender, ...]:
    """Fit every recommender on what is known."""
    popularity = fit_popularity(interactions)
    collaborative = fit_collaborative(interactions)
    return (
        popularity,
        Content(),
        Images(popularity),
        fit_taste(interactions),
        collaborative,
        fit_text(interactions),
        fit_covisitation(interactions),
        fit_session(interactions, collaborative),
        fit_audience(interactions, popularity),
    )


@dataclass(frozen=True)
class RefittedSchema:
    """Features whose recommenders, at any moment, know only what was received before it.

    The recommenders of the last refit before a moment score it, as those of the last night
    score a day. Scored by one that was fitted on their own outcomes, rows would tell the
    meta-model to trust recommenders more than it may when it serves.

    Attributes:
        starts_us: Moments from which each serves, microseconds since the epoch, ascending.
        schemas: What serves from then on, fitted on what was received before.
    """

    starts_us: Sequence[int]
    schemas: Sequence[FeatureSchema]

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        starts_us: Sequence[int],
        *,
        tick: Callable[[], None] = lambda: None,
    ) -> Self:
        """Fit the recommenders once for every start."""
        schemas: list[FeatureSchema] = []
        for start_us in starts_us:
            schemas.append(FeatureSchema(fit_recommenders(interactions.before(start_us))))
            tick()
        return cls(starts_us, schemas)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features in the order of the columns."""
        return self.schemas[0].names

    def fit_of(self, now_us: int) -> int:
        """Return the index of what serves at a moment.

        Raises:
            ValueError: If nothing was fitted by then.
        """
        fit = bisect_right(self.starts_us, now_us) - 1
        if fit < 0:
            msg = f"no recommender was fitted before {now_us}"
            raise ValueError(msg)
        return fit

    def assemble(self, query: Query) -> NDArray[np.float32]:
        """Compute the features of a query by the recommenders of its time.

        Raises:
            ValueError: If nothing was fitted by then.
        """
        return self.assemble_batch(Batch.alone(query))[0]

    def assemble_batch(self, batch: Batch) -> NDArray[np.float32]:
        """Compute the features of queries that one fit answers; see `FeatureSchema`.

        Raises:
            ValueError: If nothing was fitted by then.
        """
        return self.schemas[self.fit_of(batch.queries[0].context.now_us)].assemble_batch(batch)


def refit_moments(slates: Slates) -> list[int]:
    """Choose when to fit again: after each of `REFIT_SHARES` of the slates, or later.

    Args:
        slates: Ordered by time.

    Returns:
        Distinct moments, ascending, microseconds since the epoch; of no slates the epoch.
    """
    if not len(slates):
        return [0]
    places = [int(share * len(slates)) for share in REFIT_SHARES]
    return np.unique(slates.now_us[places]).tolist()


def after_first_refit(slates: Slates, starts_us: Sequence[int]) -> Slates:
    """Leave out the slates of the time when nothing was fitted yet."""
    # A query's moment is the microsecond before its slate.
    return slates.select(np.flatnonzero(slates.now_us > starts_us[0]))
