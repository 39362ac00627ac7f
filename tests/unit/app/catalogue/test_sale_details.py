"""Details of a sale name the topics that say what a picture shows."""

import dataclasses
import math

import numpy as np

from app.catalogue.clock import StoreClock
from app.catalogue.sale_details import SaleDetails
from app.stores.picture import LabelledPicture
from models.pictures.topics import Topics
from tests.builders import picture
from tests.shop import scorer
from tests.unit.app.conftest import Shop

TOPICS = Topics(np.eye(3), ("Ski – Beach", "Garden", "Sea"), coherence=(-0.1, math.nan, 0.0))


async def test_a_topic_of_labels_that_avoid_each_other_is_not_named(shop: Shop) -> None:
    clock = StoreClock(shop.wall, shop.wall)
    live = shop.live(dataclasses.replace(scorer(), scene_model="scenes", topics=TOPICS), clock)
    seen = LabelledPicture("s1", picture(0.5, 0.2, 0.3, embedding={0: 1.0}), "scenes")

    view = SaleDetails(shop.stores.sales, live, clock).view(seen)

    assert [topic.name for topic in view.topics] == ["Sea", "Garden"]
    np.testing.assert_allclose([topic.share for topic in view.topics], [0.3, 0.2], atol=1e-6)
