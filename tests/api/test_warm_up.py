"""A worker that is asked for the first time has done everything once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.bundles.bundle_repository import BundleRepository
from app.catalogue.model import Model
from app.stores.connection import Script
from app.stores.customer import READ_CUSTOMER
from app.stores.store import Stores
from models.scoring.scorer import Scorer
from tests.shop import CategoryRanker, scorer

ASK = "/v1/recommendations?customer_id=c1"


@dataclass(frozen=True)
class CountingRanker(CategoryRanker):
    """Remembers how many sales it was asked about, each time."""

    asked: list[int] = field(default_factory=list[int])

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        self.asked.append(len(matrix))
        return super().probabilities(matrix)


class TestByHand:
    @pytest.fixture
    def ranker(self) -> CountingRanker:
        return CountingRanker()

    @pytest.fixture
    def model(self, ranker: CountingRanker) -> Model:
        return Model(scorer=scorer(ranker=ranker))

    async def test_it_scored_the_catalogue_before_the_first_request(
        self, client: httpx.AsyncClient, ranker: CountingRanker
    ) -> None:
        before = [*ranker.asked]

        ready = await client.get("/health/ready")

        assert ready.status_code == 200
        assert 5 in before  # all sales of the shop, but for those of another market
        assert ranker.asked == before

    async def test_the_first_answer_scores_once(
        self, client: httpx.AsyncClient, ranker: CountingRanker
    ) -> None:
        before = len(ranker.asked)

        await client.get(ASK)

        assert len(ranker.asked) - before == 1


class TestABundle:
    @pytest.fixture
    def model(self, tiny_bundle: tuple[Path, Path]) -> Model:
        return BundleRepository(tiny_bundle[0].parent, str(tiny_bundle[0])).load_first("")

    @pytest.fixture
    async def stores(self, stores: Stores) -> Stores:
        """The store, which has just been restarted: it knows no script."""
        await stores.connection.execute("SCRIPT FLUSH", doing="forgetting scripts")
        return stores

    async def test_the_first_answer_builds_nothing_and_sends_no_script(
        self, client: httpx.AsyncClient, model: Model, stores: Stores
    ) -> None:
        """What is computed at first use and kept is there, and so are the store's scripts."""
        assert model.scorer is not None
        before, can_read = built(model.scorer), await is_known(stores, READ_CUSTOMER)

        answers = [(await client.get(ASK)).json() for _ in range(2)]

        assert [answer["degraded"] for answer in answers] == [None, None]
        assert can_read
        assert built(model.scorer) == before


def built(scorer: Scorer) -> dict[str, frozenset[str]]:
    """Names of what scorer, features and model have computed and kept."""
    parts = {"scorer": scorer, "schema": scorer.schema, "ranker": scorer.ranker}
    parts |= {one.name: one for one in scorer.schema.recommenders}
    return {name: frozenset(vars(part)) for name, part in parts.items()}


async def is_known(stores: Stores, script: Script) -> bool:
    reply = await stores.connection.execute("SCRIPT EXISTS", script.sha, doing="looking")
    return bool(cast("list[int]", reply)[0])
