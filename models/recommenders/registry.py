"""Registry of recommenders by name, in feature order; docs/architecture.md says how to add one."""

from collections.abc import Mapping
from typing import Final

from models.recommenders.bestsellers import Bestsellers
from models.recommenders.buy_again import BuyAgain
from models.recommenders.collaborative import Collaborative
from models.recommenders.content_preference import ContentPreference
from models.recommenders.content_profile import ContentProfile
from models.recommenders.covisitation import Covisitation
from models.recommenders.demographic import Demographic
from models.recommenders.image_similarity import ImageSimilarity
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender
from models.recommenders.segment_popularity import SegmentPopularity
from models.recommenders.session import Session
from models.recommenders.text_similarity import TextSimilarity

RECOMMENDERS: Final[Mapping[str, type[Recommender]]] = {
    recommender.name: recommender
    for recommender in (
        Popularity,
        ContentProfile,
        ImageSimilarity,
        ContentPreference,
        Collaborative,
        TextSimilarity,
        Covisitation,
        Session,
        SegmentPopularity,
        BuyAgain,
        Demographic,
        Bestsellers,
    )
}
