"""A store whose user lacks a right: nothing is half written, and the right is named."""

import time
from collections.abc import AsyncGenerator, Generator
from typing import cast

import pytest

from app.errors import StoreUnavailableError
from app.health.store_monitor import StoreMonitor
from app.observability import Metrics
from app.stores.connection import Connection
from app.stores.customer import ERASE_CUSTOMER
from app.stores.event_outcome import EventOutcome, EventStatus
from app.stores.rights import all_commands, commands_in
from app.stores.sale import CHANGE_CATALOGUE
from app.stores.server import Refusal
from app.stores.store import Stores
from models.domain.event import EventType
from tests.contract.servers import documented_rights, redis_binary, redis_server
from tests.contract.visit import event
from tests.shop import sale

DOING = "changing rights"


class MissingRightsContract:
    """Mix in and provide ``url``, of a server that is emptied and has its default user."""

    @pytest.fixture
    async def stores(self, url: str, connection: Connection) -> AsyncGenerator[Stores]:
        """Stores of the user that docs/store.md tells operators to make."""
        made = ("on", ">secret", *documented_rights().split())
        await connection.execute("ACL", "SETUSER", "vitrine", *made, doing=DOING)
        stores = Stores.open(f"{url}?username=vitrine&password=secret", timeout_s=10.0)
        yield stores
        await stores.server.close()
        await connection.execute("ACL", "DELUSER", "vitrine", doing=DOING)

    async def test_an_event_refused_for_a_right_is_taken_whole_when_sent_again(
        self, stores: Stores, connection: Connection
    ) -> None:
        now_us = await stores.server.time_us()
        before = event("before", at_us=now_us - 1, type=EventType.PURCHASE)
        await stores.customers.append([before])
        click = event("click", at_us=now_us)
        stored = await contents(connection)

        for right in ("xadd", "hincrby", "sadd", "zadd", "expire", "setnx", "xrange", "hget"):
            await connection.execute("ACL", "SETUSER", "vitrine", f"-{right}", doing=DOING)
            with pytest.raises(StoreUnavailableError, match=rf"\+{right}$"):
                await stores.customers.append([click])
            assert await contents(connection) == stored, right
            await connection.execute("ACL", "SETUSER", "vitrine", f"+{right}", doing=DOING)

        assert await stores.customers.append([click]) == [EventOutcome(EventStatus.ACCEPTED)]

    async def test_a_sale_and_an_erasure_refused_for_a_right_change_nothing(
        self, stores: Stores, connection: Connection
    ) -> None:
        await stores.customers.append([event("e1", at_us=await stores.server.time_us())])
        await stores.sales.put([sale("s1")])
        stored = await contents(connection)

        for right in sorted(commands_in(CHANGE_CATALOGUE.source)):
            await connection.execute("ACL", "SETUSER", "vitrine", f"-{right}", doing=DOING)
            with pytest.raises(StoreUnavailableError):
                await stores.sales.put([sale("s2", markets=("fr",))])
            assert await contents(connection) == stored, right
            await connection.execute("ACL", "SETUSER", "vitrine", f"+{right}", doing=DOING)
        for right in sorted(commands_in(ERASE_CUSTOMER.source)):
            await connection.execute("ACL", "SETUSER", "vitrine", f"-{right}", doing=DOING)
            with pytest.raises(StoreUnavailableError):
                await stores.customers.erase("c1")
            assert await contents(connection) == stored, right
            await connection.execute("ACL", "SETUSER", "vitrine", f"+{right}", doing=DOING)

    async def test_each_missing_right_is_named(
        self, stores: Stores, connection: Connection
    ) -> None:
        named = dict[str, tuple[Refusal, str] | None]()
        for right in sorted(name.lower() for name in all_commands()):
            await connection.execute("ACL", "SETUSER", "vitrine", f"-{right}", doing=DOING)
            named[right] = await stores.server.refused_write()
            await connection.execute("ACL", "SETUSER", "vitrine", f"+{right}", doing=DOING)

        assert named == {
            right: (Refusal.RIGHTS, f"its user has no permission for +{right}") for right in named
        }
        assert await stores.server.refused_write() is None

    @pytest.mark.parametrize("right", ["eval", "evalsha"])
    async def test_the_right_to_scripts_is_missed(
        self, stores: Stores, connection: Connection, right: str
    ) -> None:
        await connection.execute("ACL", "SETUSER", "vitrine", f"-{right}", doing=DOING)

        refused = await stores.server.refused_write()

        assert refused is not None
        assert refused[0] is Refusal.RIGHTS
        assert f"'{right}'" in refused[1]

    async def test_a_missing_right_is_reported_by_the_monitor(
        self, stores: Stores, connection: Connection
    ) -> None:
        without = [right for right in documented_rights().split() if right != "~events:*"]
        rules = ("reset", "on", ">secret", *without)
        await connection.execute("ACL", "SETUSER", "vitrine", *rules, doing=DOING)
        metrics = Metrics()
        monitor = StoreMonitor(stores.server, metrics, lambda: time.time_ns() // 1000)

        await monitor.check_writes()

        assert monitor.refused == (
            "its user has no permission for ~events:*",
            "grant its user the rights of docs/store.md",
        )
        assert 'write_refusals_total{reason="rights"} 1.0' in metrics.exposition(None).decode()


async def contents(connection: Connection) -> dict[bytes, object]:
    """What every key holds, but for its lifetime."""
    reply = await connection.execute("KEYS", "*", doing="looking")
    keys = sorted(cast("list[bytes]", reply))
    held = await connection.execute_many([("DUMP", key) for key in keys], doing="looking")
    return dict(zip(keys, held, strict=True))


class TestEmbeddedMissingRights(MissingRightsContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.fixture(scope="module")
def plain_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with redis_server(binary, tmp_path_factory.mktemp("rights")) as url:
        yield url


@pytest.mark.redis
class TestRedisMissingRights(MissingRightsContract):
    @pytest.fixture
    def url(self, plain_url: str) -> str:
        return plain_url
