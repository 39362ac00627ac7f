"""The contract of the promotion store, on the embedded server and on Redis."""

import asyncio
from typing import cast

import pytest

from app.stores.connection import Connection
from app.stores.keys import PROMOTER, PROMOTION
from app.stores.promotion import CountBatch, PromotionStore, StoredPromotion
from tests.promotions import begun
from tests.trials import START

FIRST = StoredPromotion(1, begun(1))
SETTLED = StoredPromotion(2, begun(1).settled())


class PromotionStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def store(self, connection: Connection) -> PromotionStore:
        return PromotionStore(connection)

    async def test_there_is_no_promotion_at_first(self, store: PromotionStore) -> None:
        assert await store.version() == 0
        assert await store.read() is None
        assert (await store.earlier(10), await store.counts(1)) == ([], {})

    async def test_a_promotion_is_read_as_it_was_put(self, store: PromotionStore) -> None:
        assert await store.change(FIRST, before=0, begins=True)

        assert (await store.version(), await store.read()) == (1, FIRST)

    async def test_a_step_from_what_is_past_changes_nothing(self, store: PromotionStore) -> None:
        await store.change(FIRST, before=0, begins=True)

        assert not await store.change(SETTLED, before=0)
        assert await store.read() == FIRST

    async def test_of_steps_at_the_same_time_one_is_made(self, store: PromotionStore) -> None:
        await store.change(FIRST, before=0, begins=True)
        stops = [begun(1).stopped(why, at=START, who="w1") for why in "abcd"]

        made = await asyncio.gather(
            *(store.change(StoredPromotion(2, one), before=1) for one in stops)
        )

        assert made.count(True) == 1
        assert await store.read() == StoredPromotion(2, stops[made.index(True)])

    async def test_one_worker_decides_until_its_lease_is_over(self, store: PromotionStore) -> None:
        assert await store.lease("w1", ttl_s=0.2)
        assert not await store.lease("w2", ttl_s=60.0)
        assert await store.lease("w1", ttl_s=0.05)

        async with asyncio.timeout(10.0):
            while not await store.lease("w2", ttl_s=60.0):
                pass
        assert not await store.lease("w1", ttl_s=60.0)

    async def test_a_lease_lasts_as_long_as_what_is_decided_under_it(
        self, store: PromotionStore, connection: Connection
    ) -> None:
        async def left_ms() -> int:
            return cast("int", await connection.execute("PTTL", PROMOTER, doing="reading a lease"))

        async with store.leading("w1", ttl_s=2.0, longest_s=60.0) as leads, asyncio.timeout(30.0):
            async with store.leading("w2", ttl_s=60.0, longest_s=60.0) as leads_too:
                pass
            before = await left_ms()
            while (now := await left_ms()) <= before:
                before = now
                await asyncio.sleep(0.01)

        assert (leads, leads_too) == (True, False)
        assert 0 < await left_ms() <= 2_000

    async def test_a_worker_that_hangs_loses_the_lease(self, store: PromotionStore) -> None:
        """It would stay the deciding one for as long as it runs."""
        async with store.leading("w1", ttl_s=0.2, longest_s=0.4) as leads, asyncio.timeout(30.0):
            while not await store.lease("w2", ttl_s=60.0):
                pass

        assert leads
        assert not await store.lease("w1", ttl_s=60.0)

    async def test_who_lost_the_lease_takes_no_step(self, store: PromotionStore) -> None:
        await store.change(FIRST, before=0, begins=True)
        await store.lease("w2", ttl_s=60.0)

        assert not await store.change(SETTLED, before=1, promoter="w1")
        assert await store.change(SETTLED, before=1, promoter="w2")

    async def test_earlier_promotions_are_kept_as_they_ended(self, store: PromotionStore) -> None:
        await store.change(FIRST, before=0, begins=True)
        await store.change(SETTLED, before=1)
        await store.change(StoredPromotion(3, begun(2)), before=2, begins=True)

        assert await store.earlier(10) == [SETTLED.promotion]

    async def test_counts_of_all_workers_add_up_by_promotion(self, store: PromotionStore) -> None:
        await store.count(CountBatch(1, {"shadow.scored": 3, "shadow.failed": 1}, "w1", "a"))
        await store.count(CountBatch(1, {"shadow.scored": 4}, "w2", "a"))
        await store.count(CountBatch(2, {"shadow.scored": 9}, "w1", "b"))

        assert await store.counts(1) == {"shadow.scored": 7, "shadow.failed": 1}

    async def test_a_batch_that_comes_again_as_its_reply_was_lost_counts_once(
        self, store: PromotionStore
    ) -> None:
        for _ in range(2):
            await store.count(CountBatch(1, {"shadow.scored": 3}, "w1", "a"))
        await store.count(CountBatch(1, {"shadow.scored": 4}, "w2", "c"))
        for _ in range(2):
            await store.count(CountBatch(1, {"shadow.scored": 10}, "w1", "b"))

        assert await store.counts(1) == {"shadow.scored": 17}

    async def test_a_step_that_comes_again_as_its_reply_was_lost_finds_itself(
        self, store: PromotionStore
    ) -> None:
        for _ in range(2):
            assert await store.change(FIRST, before=0, begins=True)
        for _ in range(2):
            assert await store.change(StoredPromotion(2, begun(2)), before=1, begins=True)

        assert await store.earlier(10) == [FIRST.promotion]

    async def test_what_is_no_promotion_of_this_software_says_so(
        self, store: PromotionStore, connection: Connection
    ) -> None:
        await connection.execute("HSET", PROMOTION, "version", 7, "json", b"{}", doing="planting")

        with pytest.raises(ValueError, match="version 7, is none of this software"):
            await store.read()


class TestEmbeddedPromotionStore(PromotionStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisPromotionStore(PromotionStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
