"""Recommenders without data: they are left out of a bundle, and the reason is given."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.recommenders.bestsellers import Bestsellers
from models.recommenders.buy_again import BuyAgain
from models.recommenders.collaborative import Collaborative
from models.recommenders.content_preference import ContentPreference
from models.recommenders.content_profile import ContentProfile
from models.recommenders.covisitation import Covisitation
from models.recommenders.demographic import Demographic
from models.recommenders.image_similarity import ImageSimilarity
from models.recommenders.recommender import Recommender
from models.recommenders.session import Session
from models.recommenders.text_similarity import TextSimilarity
from training.recommenders.bestsellers import n_outlasting
from training.recommenders.buy_again import BoughtPairs
from training.recommenders.collaborative import MIN_CUSTOMERS
from training.recommenders.interactions import Interactions

# As many as the meta-model needs on either side of its split; chosen, not measured.
MIN_REPEATS: Final = 10
"""Repeat purchases from which something can be said about buying again."""


def without_data(
    recommenders: Iterable[Recommender], interactions: Interactions
) -> Mapping[str, str]:
    """Return why recommenders say nothing of any sale, by the names of those that do not.

    Args:
        recommenders: Fitted on all events.
        interactions: These events.
    """
    reasons = {
        one.name: _lacks_content(one, interactions.catalogue)
        or _lacks_events(one, interactions)
        or _lacks_time(one, interactions)
        for one in recommenders
    }
    return {name: reason for name, reason in reasons.items() if reason}


def has_content(catalogue: Catalogue) -> bool:
    """Return whether any sale has content: category, country, destination, price or topics."""
    known = catalogue.vocabulary.codes.any() or catalogue.topics.any()
    return bool(known or np.isfinite(catalogue.log_price).any())


def _lacks_content(recommender: Recommender, catalogue: Catalogue) -> str:
    match recommender:
        case ContentProfile() if not has_content(catalogue):
            return "no sale has a category, country, destination, price or picture topics"
        case ImageSimilarity() if not catalogue.pictured.any():
            return "no sale has a labelled picture"
        case Demographic() if not len(recommender.encoder.columns):
            return "`customers` has no column that can be learned from"
        case ContentPreference() | Demographic() if not recommender.projection.n_dimensions:
            return "the sales of one customer agree in no content"
        case TextSimilarity() if not recommender.n_axes:
            return "the sales of one customer agree in no words"
        case _:
            return ""


def _lacks_events(recommender: Recommender, interactions: Interactions) -> str:
    match recommender:
        case Collaborative() if not len(recommender.gramian):
            return _few_customers(interactions)
        case Covisitation() if not len(recommender.companions.keys):
            return "no customer has events with two sales"
        case Session() if not len(recommender.collaborative.gramian):
            return _few_customers(interactions)
        case Session() if not recommender.steps.any():
            return "no visit has events with two sales"
        case _:
            return ""


def _lacks_time(recommender: Recommender, interactions: Interactions) -> str:
    match recommender:
        case BuyAgain():
            n_again = int(BoughtPairs.from_interactions(interactions).n_again.sum())
            few = f"{n_again} repeat purchases of a sale on another day, {MIN_REPEATS} are needed"
            return few if n_again < MIN_REPEATS else ""
        case Bestsellers() if not n_outlasting(interactions):
            return "no sale with events was open for more than 14 days, which `popularity` counts"
        case _:
            return ""


def _few_customers(interactions: Interactions) -> str:
    n = len(np.unique(interactions.touched()[0]))
    return f"{n} customers with events beyond impressions, {MIN_CUSTOMERS} are needed"
