"""Details of a sale: the topics that a picture shows, and the picture that is the best cover."""

import dataclasses
import math

import numpy as np
import pytest

from app.catalogue.clock import StoreClock
from app.catalogue.sale_details import SaleDetails
from app.stores.picture import LabelledPicture
from models.pictures.topics import Topics
from tests.builders import picture, sale
from tests.shop import scorer
from tests.unit.app.conftest import Power, Shop

TOPICS = Topics(np.eye(3), ("Ski – Beach", "Garden", "Sea"), coherence=(-0.1, math.nan, 0.0))


async def test_a_topic_of_labels_that_avoid_each_other_is_not_named(shop: Shop) -> None:
    clock = StoreClock(shop.wall, shop.wall)
    live = shop.live(dataclasses.replace(scorer(), scene_model="scenes", topics=TOPICS), clock)
    seen = LabelledPicture("s1", picture(0.5, 0.2, 0.3, embedding={0: 1.0}), "scenes")

    view = SaleDetails(shop.stores.sales, live, clock).view(seen)

    assert [topic.name for topic in view.topics] == ["Sea", "Garden"]
    np.testing.assert_allclose([topic.share for topic in view.topics], [0.3, 0.2], atol=1e-6)


@pytest.mark.parametrize(
    ("unlike", "best"),
    [((False, False, False), 2), ((False, True, False), 3), ((True, True, True), 2), ((), None)],
)
async def test_the_best_cover_has_the_surest_label_of_a_known_scene(
    power: Power, shop: Shop, unlike: tuple[bool, ...], best: int | None
) -> None:
    power.on()
    scores = [
        picture(*shares, embedding={0: 1.0}) for shares in ((0.5, 0.5), (0.1, 0.9), (0.7, 0.3))
    ]
    await shop.stores.sales.put([sale("s1")])
    await shop.stores.sales.put_pictures(
        [
            LabelledPicture("s1", scores[number - 1], "scenes", is_unlike, number)
            for number, is_unlike in enumerate(unlike, start=1)
        ]
    )
    clock = StoreClock(shop.wall, shop.wall)
    live = shop.live(dataclasses.replace(scorer(), scene_model="scenes"), clock)

    details = await SaleDetails(shop.stores.sales, live, clock).get("s1", n_look_alikes=0)

    assert details.best_cover == best
