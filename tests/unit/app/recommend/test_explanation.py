"""Explanations never hold an answer up."""

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from app.catalogue.model_catalogue import seed
from app.observability import Metrics
from app.recommend.explanation import MAX_EXPLAINED, MAX_WAITING, Explainer
from app.recommend.request import RankingRequest, RecommendationRequest
from app.stores.customer_state import CustomerState
from models.domain.customer import Window
from models.domain.profile import Profile
from tests.builders import NOW_US
from tests.shop import CategoryRanker, sale, scorer

SALE_IDS = [f"s{number}" for number in range(MAX_EXPLAINED + 1)]


@dataclass(frozen=True)
class SlowRanker(CategoryRanker):
    """A model whose reasons wait for a word."""

    word: Event = field(default_factory=Event)

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        assert self.word.wait(60.0)
        return super().contributions(matrix)


@pytest.fixture
def pool() -> Generator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def asked_of(ranker: CategoryRanker) -> RankingRequest:
    sales = [sale(sale_id, now_us=NOW_US) for sale_id in SALE_IDS]
    state = CustomerState(NOW_US, Window.empty(), Profile.empty())
    return RankingRequest(RecommendationRequest(), state, seed(scorer(*sales, ranker=ranker)))


async def test_the_first_sales_are_explained_in_their_order(pool: ThreadPoolExecutor) -> None:
    explainer = Explainer(pool, Metrics().explanations, within_s=60.0)

    explained = await explainer.explain(asked_of(CategoryRanker()), SALE_IDS[::-1])

    assert [one.sale_id for one in explained] == SALE_IDS[::-1][:MAX_EXPLAINED]


async def test_what_takes_too_long_and_what_comes_too_much_goes_without(
    pool: ThreadPoolExecutor,
) -> None:
    metrics, slow = Metrics(), SlowRanker()
    question = asked_of(slow)
    explainer = Explainer(pool, metrics.explanations, within_s=0.01)

    late = await asyncio.gather(
        *(explainer.explain(question, SALE_IDS) for _ in range(MAX_WAITING))
    )
    too_many = await explainer.explain(question, SALE_IDS)
    slow.word.set()
    explainer.within_s = 60.0
    await asyncio.wrap_future(pool.submit(int))  # behind all that were late
    after = await explainer.explain(question, SALE_IDS)

    assert [*late, too_many] == [()] * (MAX_WAITING + 1)
    assert len(after) == MAX_EXPLAINED
    counted = metrics.exposition(None).decode()
    assert f'explanations_total{{outcome="late"}} {MAX_WAITING}.0' in counted
    assert 'explanations_total{outcome="busy"}' in counted
