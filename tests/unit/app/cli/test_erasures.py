"""A store that was restored from a backup forgets again who was erased since."""

from pathlib import Path
from typing import cast

import pytest

from app.cli.erasures import ErasureSummary, apply_erasures, exported_erasures
from app.export import ExportError, export
from app.stores.connection import Connection
from app.stores.event_outcome import EventStatus
from app.stores.keys import CustomerKeys
from app.stores.store import Stores
from models.domain.event import Event, EventType, from_us
from tests.contract.visit import DAY_US


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


@pytest.fixture
async def stores(connection: Connection) -> Stores:
    return Stores.over(connection)


def click(customer_id: str, event_id: str, *, at_us: int) -> Event:
    return Event(
        event_id=event_id,
        customer_id=customer_id,
        type=EventType.CLICK,
        sale_id="s1",
        at=from_us(at_us),
    )


async def test_a_restored_store_forgets_who_an_export_says_was_erased(
    connection: Connection, stores: Stores, tmp_path: Path
) -> None:
    """The backup is older than the erasure; what the customer did since is not erased."""
    before_us = await stores.server.time_us() - 60_000_000
    gone = [click("gone", f"e{n}", at_us=before_us + n) for n in range(3)]
    stays = click("stays", "e9", at_us=before_us)
    await stores.customers.append([*gone, stays])
    await stores.customers.erase("gone")
    await export(connection, tmp_path)
    await connection.execute("FLUSHALL", doing="losing the store")
    await stores.customers.append([*gone, stays])  # the backup
    later = click("gone", "e7", at_us=await stores.server.time_us())
    await stores.customers.append([later])

    first = await apply_erasures(exported_erasures(tmp_path), stores)
    again = await apply_erasures(exported_erasures(tmp_path), stores)

    assert first == ErasureSummary(customers=1, events=3, shown=0, profiles=0)
    assert again == ErasureSummary(customers=1, events=0, shown=0, profiles=0)
    assert len((await stores.customers.read("gone")).window.at_us) == 1
    assert len((await stores.customers.read("stays")).window.at_us) == 1
    # What may still come of the time before is refused again, as it was before the loss.
    late = gone[0].model_copy(update={"event_id": "e10"})
    assert (await stores.customers.append([late]))[0].status is EventStatus.ERASED


async def test_a_restored_store_keeps_of_who_was_erased_what_a_live_erasure_keeps(
    connection: Connection, stores: Stores
) -> None:
    """Nothing but the tombstone. Keys of events of another day before go also if they came back."""
    now_us = await stores.server.time_us()
    await stores.customers.append([click("c1", f"e{n}", at_us=now_us - n) for n in range(111)])
    await stores.customers.erase("c1")
    live = await stores.customers.describe("c1")
    left = set(await keys_of(connection, "c1"))
    await connection.execute("FLUSHALL", doing="losing the store")
    erased_us = now_us + 1
    await stores.customers.append([click("c1", f"e{n}", at_us=now_us - n) for n in range(111)])
    yesterday = f"{CustomerKeys.for_customer('c2').recent}:{erased_us // DAY_US - 1}"
    await connection.execute("SADD", yesterday, 1, doing="receiving an event yesterday")
    await stores.customers.append([click("c2", "later", at_us=await stores.server.time_us())])

    await stores.customers.erase_again([("c1", erased_us), ("c2", erased_us)])

    restored, back = [await stores.customers.describe(one) for one in ("c1", "c2")]
    assert (live.n_remembered, restored.n_remembered, back.n_remembered) == (0, 0, 1)
    assert (set(await keys_of(connection, "c1")), left) == (set(), set())
    later = click("c2", "later", at_us=await stores.server.time_us())
    assert (await stores.customers.append([later]))[0].status is EventStatus.DUPLICATE


async def keys_of(connection: Connection, customer_id: str) -> list[bytes]:
    # Whole: the hash of a tombstone may begin with the letters of an id.
    patterns = f"*:{customer_id}", f"*:{customer_id}:*"
    replies = [await connection.execute("KEYS", one, doing="looking") for one in patterns]
    return [name for reply in replies for name in cast("list[bytes]", reply)]


async def test_the_next_export_of_a_restored_store_leaves_out_who_was_erased(
    connection: Connection, stores: Stores, tmp_path: Path
) -> None:
    """Also one into another directory: the store has the erasure again."""
    before_us = await stores.server.time_us() - 60_000_000
    await stores.customers.append([click("gone", "e1", at_us=before_us)])
    await stores.customers.erase("gone")
    await export(connection, tmp_path / "first")
    await connection.execute("FLUSHALL", doing="losing the store")
    await stores.customers.append([click("gone", "e1", at_us=before_us)])

    await apply_erasures(exported_erasures(tmp_path / "first"), stores)
    summary = await export(connection, tmp_path / "second")

    assert (summary.erasures, summary.erased_events, summary.total_events) == (1, 1, 0)


async def test_an_erasure_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no erasures"):
        exported_erasures(tmp_path)

    text = "customer_id,erased_at\nc1,2026-01-01T00:00:00Z\nc2,soon\n"
    (tmp_path / "erasures.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ExportError, match="cannot be read whole"):
        exported_erasures(tmp_path)
