"""All recommenders by name: adding one is a file and a line here."""

from collections.abc import Mapping
from typing import Final

from models.recommenders.audience import Audience
from models.recommenders.collaborative import Collaborative
from models.recommenders.content import Content
from models.recommenders.covisitation import Covisitation
from models.recommenders.images import Images
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender
from models.recommenders.session import Session
from models.recommenders.taste import Taste
from models.recommenders.text import Text

RECOMMENDERS: Final[Mapping[str, type[Recommender]]] = {
    recommender.name: recommender
    for recommender in (
        Popularity,
        Content,
        Images,
        Taste,
        Collaborative,
        Text,
        Covisitation,
        Session,
        Audience,
    )
}
