"""The contract of the bundle store, on the embedded server and on Redis."""

import pytest

from app.stores.bundle import REPORT_TTL_US, BundleStore, Wanted, WorkerReport
from app.stores.connection import Connection
from app.stores.keys import WORKERS


def report(worker: str, *, active: str = "b1", failure: str | None = None) -> WorkerReport:
    return WorkerReport(
        worker=worker,
        active=active,
        previous="",
        shadow="",
        failure=failure,
        n_unread_pictures=3,
    )


class BundleStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def store(self, connection: Connection) -> BundleStore:
        return BundleStore(connection)

    async def test_nothing_is_wanted_at_first(self, store: BundleStore) -> None:
        assert await store.wanted() == Wanted("", "", "")

    async def test_an_activation_remembers_what_answered_before(self, store: BundleStore) -> None:
        first = await store.activate("b2", instead_of="b1")
        second = await store.activate("b3", instead_of="what another worker serves still")

        assert (first, second) == (Wanted("b2", "b1", ""), Wanted("b3", "b2", ""))
        assert await store.wanted() == second

    async def test_to_activate_what_is_active_changes_nothing(self, store: BundleStore) -> None:
        """Else the rollback would return to the bad bundle."""
        await store.activate("b2", instead_of="b1")

        assert await store.activate("b2", instead_of="b2") == Wanted("b2", "b1", "")

    async def test_what_answers_by_chance_is_wanted_from_its_activation_on(
        self, store: BundleStore
    ) -> None:
        """Else a worker that starts with a newer bundle in its directory would serve that."""
        assert await store.activate("b1", instead_of="b1") == Wanted("b1", "", "")

    async def test_the_previous_activated_again_is_a_rollback(self, store: BundleStore) -> None:
        await store.activate("b2", instead_of="b1")

        assert await store.activate("b1", instead_of="b2") == Wanted("b1", "b2", "")

    async def test_a_shadow_comes_and_goes(self, store: BundleStore) -> None:
        await store.activate("b2", instead_of="b1")

        await store.shadow("b3")
        with_shadow = await store.wanted()
        await store.shadow("")

        assert (with_shadow.shadow, await store.wanted()) == ("b3", Wanted("b2", "b1", ""))

    async def test_what_an_emptied_store_forgot_is_wanted_again(self, store: BundleStore) -> None:
        await store.restore(Wanted("b2", "b1", ""))
        await store.restore(Wanted("b9", "b8", "b7"))

        assert await store.wanted() == Wanted("b2", "b1", "b7")

    async def test_workers_are_heard_until_they_fall_silent(
        self, store: BundleStore, connection: Connection
    ) -> None:
        await store.report(report("w2", failure="b1: missing"))
        said = await connection.execute("HGET", WORKERS, "w2", doing="looking")
        assert isinstance(said, bytes)
        long_ago = b"%016d" % (int(said[:16]) - 2 * REPORT_TTL_US) + said[16:]
        await connection.execute("HSET", WORKERS, "silent", long_ago, doing="ageing")

        await store.report(report("w1"))

        assert await store.reports() == [report("w1"), report("w2", failure="b1: missing")]


class TestEmbeddedBundleStore(BundleStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisBundleStore(BundleStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
