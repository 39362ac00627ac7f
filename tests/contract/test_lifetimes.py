"""Every key of a customer expires, in any order of events."""

from typing import Final, cast

import numpy as np
import pytest

from app.stores.connection import Connection
from app.stores.customer import LoadedCustomer
from app.stores.keys import (
    COUNTED_TTL_S,
    CUSTOMER_TTL_S,
    DAY_S,
    HOUR_TTL_S,
    LIST_TTL_S,
    MINUTE_TTL_S,
    RECENT_TTL_S,
    TOMBSTONE_TTL_S,
    CustomerKeys,
)
from app.stores.store import Stores
from models.domain.customer_list import CustomerList
from models.domain.event import EventType
from models.domain.profile import Profile
from tests.contract.visit import DAY_US, event, visits, window_of

DOCUMENTED: Final = {
    "c:": CUSTOMER_TTL_S,
    "d:": CUSTOMER_TTL_S,
    "p:": CUSTOMER_TTL_S,
    "r:": LIST_TTL_S,
    "i:": RECENT_TTL_S,
    "e:": TOMBSTONE_TTL_S,
    "m": MINUTE_TTL_S,
    "h": HOUR_TTL_S,
    "u": COUNTED_TTL_S,
    "b": HOUR_TTL_S,
}
"""Longest life by kind of key; of counters by the letter before the hour or minute.

That loaded history expires is a promise of the store of counts.
"""

UNTIL_EXPORTED: Final = ("events:", "exposures:", "erasures:")
OF_NO_CUSTOMER: Final = ("secret", "since", "lost", "written")
DEEDS: Final = ("click", "impression", "late", "many", "erase", "list", "load", "purchase")
STEPS: Final = 60


def kind(name: str) -> str:
    return name.rpartition(":")[2][0] if name.startswith("n:") else name[:2]


async def lives(connection: Connection) -> dict[str, int]:
    """Seconds that every key has left, -1 without an expiry, but for keys that stay by design."""
    found = cast("list[bytes]", await connection.execute("KEYS", "*", doing="looking"))
    names = [name.decode() for name in found]
    kept = [
        one for one in names if not one.startswith(UNTIL_EXPORTED) and not _is_of_no_customer(one)
    ]
    lives = [await connection.execute("TTL", name, doing="looking") for name in kept]
    return dict(zip(kept, cast("list[int]", lives), strict=True))


def _is_of_no_customer(name: str) -> bool:
    return name.rpartition(":")[2] in OF_NO_CUSTOMER


def loaded(*, now_us: int, profile: Profile, days: int) -> LoadedCustomer:
    """A customer of a file, who did something so many days ago."""
    last_us = now_us - days * DAY_US
    window = window_of([event(f"f{days}", at_us=last_us)])
    return LoadedCustomer("c1", window, profile, last_us)


class Shop:
    """Does one thing at a time that a customer's keys can meet."""

    def __init__(self, stores: Stores, rng: np.random.Generator, now_us: int) -> None:
        self.stores = stores
        self.rng = rng
        self.now_us = now_us
        self.numbers = iter(range(10_000))

    async def step(self) -> str:
        name = str(self.rng.choice(DEEDS))
        match name:
            case "erase":
                await self.stores.customers.erase("c1")
            case "list":
                listed = CustomerList.from_sales(await self.stores.server.time_us(), ["s1"])
                await self.stores.lists.put({"c1": listed})
            case "load":
                await self.load()
            case "many":
                batch = visits(self.rng, 150, customer_id="c1", now_us=self.now_us)
                await self.stores.customers.append(batch)
            case _:
                await self.append(name)
        return name

    async def append(self, name: str) -> None:
        at_us = await self.stores.server.time_us()
        type_ = EventType(name) if name in {"impression", "purchase"} else EventType.CLICK
        late_us = 80 * DAY_US if name == "late" else 0
        one = event(f"e{next(self.numbers) // 2}", at_us=at_us - late_us, type=type_)
        await self.stores.customers.append([one])

    async def load(self) -> None:
        days = int(self.rng.integers(500))
        profile = Profile(
            first_us=await self.stores.server.time_us(), counts=(0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
        )
        chosen = profile if self.rng.random() < 0.7 else Profile.empty()
        await self.stores.customers.merge([loaded(now_us=self.now_us, profile=chosen, days=days)])


class LifetimeContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def stores(self, connection: Connection) -> Stores:
        return Stores.over(connection)

    async def test_no_order_of_operations_leaves_a_key_for_ever(
        self, stores: Stores, connection: Connection, rng: np.random.Generator
    ) -> None:
        shop, done = Shop(stores, rng, await stores.server.time_us()), list[str]()
        seen: set[str] = set()
        for _ in range(STEPS):
            done.append(await shop.step())
            for name, seconds in (await lives(connection)).items():
                seen.add(kind(name))
                assert 0 < seconds <= DOCUMENTED[kind(name)], (name, seconds, done)

        assert seen == DOCUMENTED.keys()

    async def test_a_profile_lives_as_long_as_the_window_beside_it(
        self, stores: Stores, connection: Connection
    ) -> None:
        """A profile from a file of last year must not leave a customer of today."""
        now_us = await stores.server.time_us()
        profile = Profile(first_us=now_us, counts=(0, 1, 0, 0, 0, 0, 0, 0, 0, 0))
        await stores.customers.append([event("e1", at_us=now_us)])

        await stores.customers.merge([loaded(now_us=now_us, profile=profile, days=300)])

        keys = CustomerKeys.for_customer("c1")
        found = await lives(connection)
        assert found[keys.window] == pytest.approx(CUSTOMER_TTL_S, abs=10)
        assert found[keys.profile] == pytest.approx(CUSTOMER_TTL_S, abs=10)

    async def test_what_a_file_knows_of_last_year_lives_from_then(
        self, stores: Stores, connection: Connection
    ) -> None:
        now_us = await stores.server.time_us()
        profile = Profile(first_us=now_us, counts=(0, 1, 0, 0, 0, 0, 0, 0, 0, 0))

        await stores.customers.merge([loaded(now_us=now_us, profile=profile, days=300)])

        assert set((await lives(connection)).values()) <= set(
            range(100 * DAY_S - 10, 100 * DAY_S + 1)
        )


class TestEmbeddedLifetimes(LifetimeContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisLifetimes(LifetimeContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
