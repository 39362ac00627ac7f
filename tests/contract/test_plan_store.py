"""The contract of the plan store, on the embedded server and on Redis."""

import asyncio

import pytest

from app.stores.connection import Connection
from app.stores.keys import PLAN, PLAN_AUDIT
from app.stores.plan import AUDIT_ENTRIES, PlanChange, PlanStore, StoredPlan
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_edit import PlanDraft
from tests.plans import LAYER, START, terms

EMPTY = Plan()


def plan(popularity_bp: int) -> Plan:
    experiment = {"name": "order", **terms(popularity_bp)}
    draft = PlanDraft.model_validate({"layers": [LAYER], "experiments": [experiment]})
    return draft.to_plan(EMPTY)


def change(before: int, *, who: str = "key k1", doing: str = "put the plan") -> PlanChange:
    changes = ("default: one → another",)
    return PlanChange(START, who, doing, before=before, after=before + 1, changes=changes)


class PlanStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def store(self, connection: Connection) -> PlanStore:
        return PlanStore(connection)

    async def test_there_is_no_plan_at_first(self, store: PlanStore) -> None:
        assert await store.version() == 0
        assert await store.read() is None
        assert await store.audit(10) == []

    async def test_a_plan_is_read_as_it_was_put(self, store: PlanStore) -> None:
        assert await store.change(plan(3_000), change(0))

        assert await store.version() == 1
        assert await store.read() == StoredPlan(1, plan(3_000))

    async def test_a_change_of_a_plan_that_is_another_one_by_now_changes_nothing(
        self, store: PlanStore
    ) -> None:
        await store.change(plan(3_000), change(0))

        assert not await store.change(plan(9_000), change(0, who="late"))
        assert await store.read() == StoredPlan(1, plan(3_000))
        assert [one.who for one in await store.audit(10)] == ["key k1"]

    async def test_a_change_that_comes_again_as_its_reply_was_lost_finds_itself(
        self, store: PlanStore
    ) -> None:
        for _ in range(2):
            assert await store.change(plan(3_000), change(0))

        assert not await store.change(plan(3_000), change(0, who="key k2"))
        assert await store.audit(10) == [change(0)]

    async def test_of_changes_at_the_same_time_one_is_made(self, store: PlanStore) -> None:
        shares = [1_000, 2_000, 3_000, 4_000]

        made = await asyncio.gather(*(store.change(plan(bp), change(0)) for bp in shares))

        assert made.count(True) == 1
        assert await store.read() == StoredPlan(1, plan(shares[made.index(True)]))
        assert len(await store.audit(10)) == 1

    async def test_changes_are_on_record_the_latest_first(self, store: PlanStore) -> None:
        entries = [change(0, doing="first"), change(1, doing="second"), change(2, doing="third")]
        for entry in entries:
            await store.change(EMPTY, entry)

        assert await store.audit(2) == [entries[2], entries[1]]

    async def test_only_the_last_changes_are_kept(
        self, store: PlanStore, connection: Connection
    ) -> None:
        await store.change(EMPTY, change(0))
        entry = await connection.execute("LINDEX", PLAN_AUDIT, 0, doing="looking")
        assert isinstance(entry, bytes)
        await connection.execute("RPUSH", PLAN_AUDIT, *[entry] * AUDIT_ENTRIES, doing="planting")

        await store.change(EMPTY, change(1, doing="the last"))

        kept = await store.audit(2 * AUDIT_ENTRIES)
        assert (len(kept), kept[0].doing) == (AUDIT_ENTRIES, "the last")

    async def test_what_is_no_plan_of_this_software_says_so(
        self, store: PlanStore, connection: Connection
    ) -> None:
        await connection.execute("HSET", PLAN, "version", 7, doing="planting")
        await connection.execute("HSET", PLAN, "json", b'{"layers": 1}', doing="planting")

        with pytest.raises(ValueError, match="version 7, is none of this software"):
            await store.read()


class TestEmbeddedPlanStore(PlanStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisPlanStore(PlanStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
