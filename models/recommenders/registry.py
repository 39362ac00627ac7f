"""All recommenders by name: adding one is a file and a line here."""

from collections.abc import Mapping
from typing import Final

from models.recommenders.collaborative import Collaborative
from models.recommenders.content_preference import ContentPreference
from models.recommenders.content_profile import Content
from models.recommenders.covisitation import Covisitation
from models.recommenders.image_similarity import Images
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender
from models.recommenders.segment_popularity import SegmentPopularity
from models.recommenders.session import Session
from models.recommenders.text_similarity import Text

RECOMMENDERS: Final[Mapping[str, type[Recommender]]] = {
    recommender.name: recommender
    for recommender in (
        Popularity,
        Content,
        Images,
        ContentPreference,
        Collaborative,
        Text,
        Covisitation,
        Session,
        SegmentPopularity,
    )
}
