import os

import pytest

from app.errors import StoreUnavailableError
from app.serving.live import LiveCatalogue
from app.serving.served import Source
from models.counters import HOUR_US
from models.events import KIND, SECOND_US, EventType, key
from tests.shop import sale, scorer
from tests.unit.app.serving.conftest import Power, Shop


def known(live: LiveCatalogue) -> list[str]:
    assert live.served is not None
    return sorted(one.sale_id for one in live.served.catalogue.sales)


async def test_what_is_put_and_deleted_shows_at_the_next_refresh(shop: Shop, power: Power) -> None:
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sale("s1"), sale("s2")])
    await live.refresh()
    first = known(live)

    await shop.stores.sales.put([sale("s3")])
    await shop.stores.sales.delete("s1")
    await live.refresh()

    assert (first, known(live)) == (["s1", "s2"], ["s2", "s3"])


async def test_nothing_new_leaves_the_very_same_catalogue(shop: Shop, power: Power) -> None:
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sale("s1")])
    while (await shop.stores.server.time_us()) // SECOND_US % 60 > 55:
        await live.refresh()  # not across the grid of counts
    await live.refresh()
    served = live.served

    await live.refresh()

    assert live.served is served


async def test_loaded_history_counts_even_if_it_comes_after_its_sales(
    shop: Shop, power: Power
) -> None:
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()
    now_us = await shop.stores.server.time_us()
    field = key("s1").to_bytes(8, "big") + bytes([KIND[EventType.PURCHASE]])
    await shop.stores.counts.put_history({now_us // HOUR_US - 2: {field: 7}}, now_us=now_us)
    await shop.stores.sales.put([sale("s2")])

    await live.refresh()

    assert live.served is not None
    catalogue = live.served.catalogue
    row = catalogue.row_of("s1")
    assert catalogue.counts.totals[row, KIND[EventType.PURCHASE]] == 7


async def test_a_store_that_goes_away_leaves_the_catalogue_until_it_is_a_minute_old(
    shop: Shop, power: Power
) -> None:
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()
    power.off()

    with pytest.raises(StoreUnavailableError, match="the store is unavailable"):
        await live.refresh()

    assert known(live) == ["s1"]
    shop.wall.now_us += 60 * SECOND_US
    assert not live.is_stale
    shop.wall.now_us += 1
    assert live.is_stale


async def test_a_store_that_comes_back_is_followed_again(shop: Shop, power: Power) -> None:
    live = shop.live(scorer(sale("seed")))
    await live.fall_back()
    before = known(live)
    power.on()
    await shop.stores.sales.put([sale("s1")])

    await live.refresh()

    assert (before, known(live), live.is_stale) == (["seed"], ["s1"], False)


async def test_without_a_store_the_last_saved_catalogue_is_served(shop: Shop, power: Power) -> None:
    power.on()
    running = shop.live(scorer())
    await shop.stores.sales.put([sale("s1", title="line\u2028separator")])
    await running.refresh()
    assert running.served is not None
    shop.archive.keep(running.served)
    power.off()
    restarted = shop.live(scorer(sale("seed")))

    await restarted.fall_back()

    assert restarted.served is not None
    assert restarted.served.snapshot_id == running.served.snapshot_id
    assert restarted.served.source is Source.SAVED
    assert restarted.is_stale


async def test_a_damaged_saved_catalogue_gives_way_to_the_bundles_own(
    shop: Shop, power: Power
) -> None:
    power.on()
    running = shop.live(scorer())
    await shop.stores.sales.put([sale("s1")])
    await running.refresh()
    assert running.served is not None
    shop.archive.keep(running.served)
    [content] = power.state_dir.glob("snapshots/content-*.npz")
    content.write_bytes(content.read_bytes()[:-100])
    restarted = shop.live(scorer(sale("seed")))

    await restarted.fall_back()

    assert known(restarted) == ["seed"]


async def test_without_store_saved_catalogue_and_bundle_there_is_none(shop: Shop) -> None:
    live = shop.live(None)

    await live.fall_back()

    assert live.served is None


async def test_a_store_that_was_emptied_is_read_anew(shop: Shop, power: Power) -> None:
    power.on()
    live = shop.live(scorer(sale("seed")))
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()
    await shop.stores.connection.execute("FLUSHALL", doing="emptying the store")
    await live.refresh()
    emptied = known(live)
    await shop.stores.sales.put([sale("s2")])

    await live.refresh()

    assert (emptied, known(live)) == (["seed"], ["s2"])


async def test_files_that_nobody_used_for_30_days_go_at_the_start(shop: Shop, power: Power) -> None:
    power.on()
    old = power.state_dir / "snapshots" / "content-old.npz"
    old.parent.mkdir()
    old.touch()
    os.utime(old, (0, 0))

    await shop.live(scorer()).refresh()

    assert not old.exists()
