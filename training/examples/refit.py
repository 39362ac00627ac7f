"""Recommenders refitted over time, as the nightly run does, so that features do not leak."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.features.attributes import NO_ATTRIBUTES
from models.features.schema import FeatureSchema
from models.query.query import Batch
from models.recommenders.content_profile import ContentProfile
from models.recommenders.image_similarity import ImageSimilarity
from models.recommenders.recommender import Recommender
from models.recommenders.registry import RECOMMENDERS
from training.examples.slates import Slates
from training.recommenders.bestsellers import fit_bestsellers
from training.recommenders.buy_again import fit_buy_again
from training.recommenders.collaborative import fit_collaborative
from training.recommenders.content_preference import fit_content_preference
from training.recommenders.covisitation import fit_covisitation
from training.recommenders.demographic import fit_demographic
from training.recommenders.interactions import Interactions
from training.recommenders.popularity import fit_popularity
from training.recommenders.segment_popularity import fit_segment_popularity
from training.recommenders.session import fit_session
from training.recommenders.text_similarity import fit_text_similarity

# Chosen, not measured: each refit takes a pass over the events before it, and the first 5% of the
# slates, before any recommender, teach nothing (decision 0012).
REFIT_SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Recommenders are refitted after these shares of the slates."""


def fit_recommenders(
    interactions: Interactions, names: Collection[str] = tuple(RECOMMENDERS)
) -> tuple[Recommender, ...]:
    """Fit every recommender, and return those of the names, in feature order."""
    popularity = fit_popularity(interactions)
    collaborative = fit_collaborative(interactions)
    taste = fit_content_preference(interactions)
    fitted: tuple[Recommender, ...] = (
        popularity,
        ContentProfile(),
        ImageSimilarity(popularity),
        taste,
        collaborative,
        fit_text_similarity(interactions),
        fit_covisitation(interactions),
        fit_session(interactions, collaborative),
        fit_segment_popularity(interactions, popularity),
        fit_buy_again(interactions),
        fit_demographic(interactions, taste),
        fit_bestsellers(interactions),
    )
    return tuple(one for one in fitted if one.name in names)


@dataclass(frozen=True)
class RefittedSchema:
    """Features whose recommenders know only the events received before each moment.

    A moment is scored by the recommenders of the last refit before it, as those of the last
    night score a day. A recommender fitted on the outcomes that it scores would look better in
    training than it is in service, and the ranker would trust it too much.

    Attributes:
        starts_us: Start of each fit's period, microseconds since the epoch, ascending.
        schemas: The features by each fit, on the events received before its start.
    """

    starts_us: Sequence[int]
    schemas: Sequence[FeatureSchema]

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        starts_us: Sequence[int],
        *,
        like: FeatureSchema | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> Self:
        """Fit the recommenders of a schema once per start, without one all of them.

        The attributes are those of the schema at every start.
        """
        attributes = like.attributes if like else NO_ATTRIBUTES
        names = [one.name for one in like.recommenders] if like else tuple(RECOMMENDERS)
        schemas: list[FeatureSchema] = []
        for start_us in starts_us:
            recommenders = fit_recommenders(interactions.before(start_us), names)
            schemas.append(FeatureSchema(recommenders, attributes))
            tick()
        return cls(starts_us, schemas)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features in the order of the columns."""
        return self.schemas[0].names

    def fit_at(self, now_us: int) -> int:
        """Return the index of the fit that answers at a moment.

        Raises:
            ValueError: If it lies before the first start.
        """
        fit = bisect_right(self.starts_us, now_us) - 1
        if fit < 0:
            msg = f"no recommender was fitted before {now_us}"
            raise ValueError(msg)
        return fit

    def assemble_batch(self, batch: Batch) -> NDArray[np.float32]:
        """Compute the features of queries of one fit; see `FeatureSchema`.

        Raises:
            ValueError: If they lie before the first start.
        """
        return self.schemas[self.fit_at(batch.queries[0].context.now_us)].assemble_batch(batch)


def refit_moments(slates: Slates) -> list[int]:
    """Choose the moments of refits, after each of `REFIT_SHARES` of the slates, ordered by time.

    Returns:
        Distinct moments, ascending, microseconds since the epoch; 0 without slates.
    """
    if not len(slates):
        return [0]
    places = [int(share * len(slates)) for share in REFIT_SHARES]
    return np.unique(slates.now_us[places]).tolist()


def after_first_refit(slates: Slates, starts_us: Sequence[int]) -> Slates:
    """Return the slates after the first refit."""
    # A query's moment is the microsecond before its slate.
    return slates.select(np.flatnonzero(slates.now_us > starts_us[0]))
