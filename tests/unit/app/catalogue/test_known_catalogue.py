"""A store that lost sales: what is known of them here answers until it is whole again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.catalogue.catalogue_follower import CatalogueFollower
from app.stores.keys import CHANGES, GENERATION, SALES, VERSION
from models.domain.event import to_us
from models.domain.sale import Sale
from tests.shop import sale, scorer
from tests.unit.app.conftest import Power, Shop

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def open_now(live: CatalogueFollower) -> list[str]:
    assert live.served is not None
    catalogue = live.served.catalogue
    rows: list[int] = catalogue.eligible(None, to_us(datetime.now(UTC))).tolist()
    return sorted(catalogue.sales[row].sale_id for row in rows)


def sold_out(sale_id: str) -> Sale:
    return sale(sale_id).model_copy(update={"stock": 0, "sold_out_at": NOON})


async def empty(shop: Shop) -> None:
    await shop.stores.connection.execute("FLUSHALL", doing="emptying the store")


async def backup(shop: Shop) -> dict[str, bytes]:
    """Every key of the catalogue as it is now."""
    names = ("json", "pictures", "changes", "markets", "version", "generation", "vouched")
    keys = [f"s:{{sales}}:{name}" for name in names]
    dumps = await shop.stores.connection.execute_many([("DUMP", k) for k in keys], doing="saving")
    return {key: dump for key, dump in zip(keys, dumps, strict=True) if isinstance(dump, bytes)}


async def restore(shop: Shop, saved: dict[str, bytes]) -> None:
    await empty(shop)
    commands = [("RESTORE", key, 0, dump) for key, dump in saved.items()]
    await shop.stores.connection.execute_many(commands, doing="restoring")


@pytest.fixture
async def running(shop: Shop, power: Power) -> CatalogueFollower:
    """A worker that knows two open sales, one that sold out, and one that was deleted."""
    power.on()
    live = shop.live(scorer(sale("seed"), sale("gone")))
    await shop.stores.sales.put([sale("s1"), sale("s2"), sale("out"), sale("gone")])
    await live.refresh()
    await shop.stores.sales.put([sold_out("out")])
    await shop.stores.sales.delete("gone")
    await live.refresh()
    return live


async def test_one_unreadable_sale_holds_up_no_other(
    shop: Shop, running: CatalogueFollower
) -> None:
    """Neither that of a running worker, nor that of one which starts; nothing counts as lost."""
    await shop.stores.connection.execute("HSET", SALES, "s2", "{}", doing="breaking a sale")
    version = await shop.stores.sales.put([sale("s3")])
    mark = [("ZADD", CHANGES, version + 1, "ss2"), ("SET", VERSION, version + 1)]
    await shop.stores.connection.execute_many(mark, doing="telling of it")
    starting = shop.live(scorer(sale("seed")), archive=shop.archive_of_another_machine)

    for live in (running, starting):
        await live.refresh()
        await live.refresh()
        assert (open_now(live), live.lacking) == (["s1", "s3"], None)
        assert live.unreadable == {"s2": "sale_id: Field required"}

    await shop.stores.sales.put([sale("s2"), sale("s4")])
    for live in (running, starting):
        await live.refresh()
        assert (open_now(live), live.lacking) == (["s1", "s2", "s3", "s4"], None)
        assert live.unreadable == {}


async def test_an_emptied_store_does_not_bring_back_what_sold_out_or_was_deleted(
    shop: Shop, running: CatalogueFollower
) -> None:
    await empty(shop)

    with capture_logs() as lines:
        for _ in range(3):
            await running.refresh()

    assert open_now(running) == ["s1", "s2"]
    assert "the store lacks the newest state of 2 sales" in (running.lacking or "")
    [line] = [one for one in lines if one["log_level"] == "warning"]
    assert "run `python -m app load --data DIR`" in line["event"]
    assert (line["n_sales"], line["sales"]) == (2, ["s1", "s2"])


async def test_deletions_are_saved_until_the_sale_is_put_again(
    shop: Shop, running: CatalogueFollower
) -> None:
    """Also through a loss, and after a load, of which the store has no mark of deletions."""
    saved = [shop.archive.last_sales()]
    await empty(shop)
    await running.refresh()
    await shop.stores.sales.put([sale("s1"), sale("s2")])
    await shop.stores.sales.vouch()
    await running.refresh()
    assert running.lacking is None
    saved.append(shop.archive.last_sales())
    await shop.stores.sales.put([sale("gone")])
    await running.refresh()
    saved.append(shop.archive.last_sales())

    assert [one and one.deleted for one in saved] == [("gone",), ("gone",), ()]


async def test_of_deletions_the_latest_5000_are_known(
    shop: Shop, running: CatalogueFollower
) -> None:
    names = [f"d{i}" for i in range(5000)]
    version = await shop.stores.sales.put([sale("s3")])
    marks = [("ZADD", CHANGES, version + 1 + i, f"s{name}") for i, name in enumerate(names)]
    deleted = [*marks, ("SET", VERSION, version + 5000)]
    await shop.stores.connection.execute_many(deleted, doing="deleting 5,000 sales")

    await running.refresh()

    saved = shop.archive.last_sales()
    assert saved is not None
    assert saved.deleted == tuple(names)


async def test_a_worker_that_knows_none_of_the_sales_that_the_store_lost_names_their_loss(
    shop: Shop, running: CatalogueFollower
) -> None:
    """The records alone were lost, while no worker ran: the log of changes is still there."""
    assert running.lacking is None
    await shop.stores.connection.execute("DEL", SALES, doing="losing the records")
    started = shop.live(scorer(sale("seed")), archive=shop.archive_of_another_machine)

    with capture_logs() as lines:
        for _ in range(3):
            await started.refresh()
    lacking = started.lacking or ""
    await shop.stores.sales.put([sale("s1")])
    await started.refresh()

    assert "the store lost all sales (s:{sales}:json): its log of changes names 3 that" in lacking
    [line] = [one for one in lines if one["log_level"] == "warning"]
    assert "run `python -m app load --data DIR`" in line["event"]
    assert (started.lacking, open_now(started)) == (None, ["s1"])


async def test_a_shop_that_deleted_all_its_sales_lost_none(
    shop: Shop, running: CatalogueFollower
) -> None:
    for sale_id in ("s1", "s2", "out"):
        await shop.stores.sales.delete(sale_id)
    started = shop.live(scorer(sale("seed")), archive=shop.archive_of_another_machine)

    for live in (running, started):
        await live.refresh()

        assert (open_now(live), live.lacking) == ([], None)


async def test_a_worker_that_starts_while_the_store_is_empty_answers_what_its_machine_knew(
    shop: Shop, running: CatalogueFollower
) -> None:
    assert running.lacking is None
    await empty(shop)
    started = shop.live(scorer(sale("seed"), sale("gone")))

    await started.refresh()

    assert open_now(started) == ["s1", "s2"]
    assert started.lacking is not None


async def test_a_sale_put_into_an_emptied_store_counts_beside_what_is_known(
    shop: Shop, running: CatalogueFollower
) -> None:
    await empty(shop)
    await shop.stores.sales.put([sale("s3"), sold_out("s1")])
    started = shop.live(scorer(sale("seed")))

    for live in (running, started):
        await live.refresh()

    assert [open_now(live) for live in (running, started)] == [["s2", "s3"]] * 2
    assert "of 1 sales" in (running.lacking or "")


async def test_a_store_is_trusted_again_once_it_was_loaded(
    shop: Shop, running: CatalogueFollower
) -> None:
    """A load speaks of all sales: one that it does not name is no longer there."""
    await empty(shop)
    await running.refresh()
    await shop.stores.sales.put([sale("s2"), sale("s4")])
    before = open_now(running)
    await shop.stores.sales.vouch()

    await running.refresh()

    assert before == ["s1", "s2"]
    assert (open_now(running), running.lacking) == (["s2", "s4"], None)


async def test_a_store_emptied_and_loaded_between_two_reads_is_read_anew(
    shop: Shop, running: CatalogueFollower
) -> None:
    await empty(shop)
    await shop.stores.sales.put([sale("s5")])
    await shop.stores.sales.vouch()

    await running.refresh()

    assert (open_now(running), running.lacking) == (["s5"], None)


async def test_a_store_is_trusted_again_once_every_open_sale_was_put_or_deleted(
    shop: Shop, running: CatalogueFollower
) -> None:
    other = shop.live(scorer(sale("seed")))
    await empty(shop)
    for live in (running, other):
        await live.refresh()
    await shop.stores.sales.put([sale("s1")])
    await running.refresh()
    half = running.lacking
    await shop.stores.sales.put([sale("s2")])

    for live in (running, other, running, other):
        await live.refresh()

    assert half is not None
    assert [(open_now(live), live.lacking) for live in (running, other)] == [
        (["s1", "s2"], None)
    ] * 2


async def test_a_restored_backup_opens_nothing_that_closed_since(
    shop: Shop, running: CatalogueFollower
) -> None:
    saved = await backup(shop)
    await shop.stores.sales.put([sold_out("s1"), sale("s6")])
    await shop.stores.sales.delete("s2")
    await running.refresh()
    await restore(shop, saved)
    started = shop.live(scorer(sale("seed")))

    for live in (running, started, running, started):
        await live.refresh()

    assert [open_now(live) for live in (running, started)] == [["s6"]] * 2
    assert "of 3 sales" in (running.lacking or "")


async def test_a_restored_store_is_trusted_once_what_it_forgot_was_said_again(
    shop: Shop, running: CatalogueFollower
) -> None:
    saved = await backup(shop)
    await shop.stores.sales.put([sold_out("s1")])
    await running.refresh()
    await restore(shop, saved)
    await running.refresh()
    await shop.stores.sales.put([sold_out("s1")])

    for _ in range(2):
        await running.refresh()

    assert (open_now(running), running.lacking) == (["s2"], None)


async def test_what_is_put_after_a_restore_without_loss_counts_at_any_time_of_the_store(
    shop: Shop, running: CatalogueFollower
) -> None:
    """The worker vouches for the store, which is behind it, as its clock is."""
    saved = await backup(shop)
    ahead = to_us(datetime(2100, 1, 1, tzinfo=UTC))
    await shop.stores.sales.distrust("", ahead)
    await shop.stores.sales.vouch()
    await running.refresh()
    await restore(shop, saved)
    for _ in range(2):
        await running.refresh()

    await shop.stores.sales.put([sold_out("s1")])
    await running.refresh()

    assert (open_now(running), running.lacking) == (["s2"], None)


async def test_a_sale_put_after_a_loss_counts_at_any_time_of_the_stores_clock(
    shop: Shop, running: CatalogueFollower
) -> None:
    """Another machine may have taken over, with a clock that is behind."""
    ahead = to_us(datetime(2100, 1, 1, tzinfo=UTC))
    await shop.stores.sales.distrust("", ahead)
    await shop.stores.sales.vouch()
    await running.refresh()
    await empty(shop)
    await running.refresh()

    await shop.stores.sales.put([sold_out("s1")])
    await running.refresh()

    assert open_now(running) == ["s2"]


async def test_a_hash_of_sales_that_alone_is_lost_is_missed(
    shop: Shop, running: CatalogueFollower
) -> None:
    """A store that evicts takes one key, and leaves version and generation."""
    await shop.stores.connection.execute("DEL", "s:{sales}:json", doing="evicting")
    started = shop.live(scorer(sale("seed")))

    for live in (running, started):
        await live.refresh()

    assert [open_now(live) for live in (running, started)] == [["s1", "s2"]] * 2
    assert running.lacking is not None


async def test_a_generation_that_alone_is_lost_is_no_loss_and_is_made_anew(
    shop: Shop, running: CatalogueFollower
) -> None:
    await shop.stores.connection.execute("DEL", GENERATION, doing="evicting")
    started = shop.live(scorer(sale("seed")), archive=shop.archive_of_another_machine)
    await started.refresh()
    at_once = open_now(started), started.lacking

    for live in (running, running, started):
        await live.refresh()

    assert at_once == (["s1", "s2"], None)
    assert [open_now(live) for live in (running, started)] == [["s1", "s2"]] * 2
    assert [live.lacking for live in (running, started)] == [None, None]
    assert int((await shop.stores.sales.changes(0)).generation) > 0


async def test_a_worker_that_knows_nothing_says_that_others_know_more(
    shop: Shop, running: CatalogueFollower, tmp_path: Path
) -> None:
    """It runs on another machine; the store is marked by those that know."""
    await empty(shop)
    await running.refresh()
    (tmp_path / "snapshots" / "latest").unlink()
    stranger = shop.live(scorer(sale("seed")))
    await stranger.refresh()
    before = open_now(stranger), stranger.lacking
    await shop.stores.sales.put([sale("s1"), sale("s2")])

    for live in (running, running, stranger):
        await live.refresh()

    assert before[0] == ["seed"]
    assert "not known to this worker" in (before[1] or "")
    assert (open_now(stranger), stranger.lacking) == (["s1", "s2"], None)


async def test_a_new_store_without_anything_known_is_no_loss(shop: Shop, power: Power) -> None:
    power.on()
    live = shop.live(scorer(sale("seed")))

    await live.refresh()
    seed = open_now(live), live.lacking
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()

    assert seed == (["seed"], None)
    assert (open_now(live), live.lacking) == (["s1"], None)


async def test_another_store_that_is_older_than_what_is_saved_is_trusted(
    shop: Shop, running: CatalogueFollower
) -> None:
    """A state directory may come from a service of another store."""
    await empty(shop)
    await shop.stores.sales.put([sale("theirs")])
    await shop.stores.connection.execute("SET", "s:{sales}:generation", 7, doing="ageing")

    other = shop.live(scorer(sale("seed")))
    await other.refresh()

    assert (open_now(other), other.lacking) == (["theirs"], None)
    assert open_now(running) == ["s1", "s2"]


@pytest.mark.parametrize("next_ids", [("s1", "s2", "s3"), ("n1", "n2", "n3")])
@pytest.mark.parametrize("min_replicas", [0, 1])
async def test_a_backup_of_an_earlier_generation_is_not_believed(
    shop: Shop, running: CatalogueFollower, next_ids: tuple[str, str, str], min_replicas: int
) -> None:
    """Restored while no worker runs, into a store that perhaps takes no writes."""
    saved = await backup(shop)
    await empty(shop)
    first, second, third = next_ids
    await shop.stores.sales.put([sale(one) for one in next_ids])
    await shop.stores.sales.vouch()
    await running.refresh()
    await shop.stores.sales.put([sold_out(first)])
    await shop.stores.sales.delete(second)
    await running.refresh()
    await restore(shop, saved)
    setting = ("CONFIG", "SET", "min-replicas-to-write", min_replicas)
    await shop.stores.connection.execute(*setting, doing="refusing writes")

    for _ in range(2):
        started = shop.live(scorer(sale("seed")))
        await started.refresh()
        await started.refresh()

        assert open_now(started) == [third]
        assert "the store lacks the newest state" in (started.lacking or "")


async def test_a_change_that_a_failover_lost_stays_where_it_is_known(
    shop: Shop, running: CatalogueFollower, power: Power
) -> None:
    """Another change came before the next read, and the number of sales is the same."""
    late = shop.live(scorer(), archive=shop.archive_of_another_machine)
    await late.refresh()
    saved = await backup(shop)
    await shop.stores.sales.put([sold_out("s1")])
    await running.refresh()
    await restore(shop, saved)
    power.off()
    power.on()
    await shop.stores.sales.put([sale("s2", title="another")])

    for live in (running, late, running, late):
        await live.refresh()

    assert open_now(running) == ["s2"]
    assert "of 1 sales" in (running.lacking or "")
    assert "not known to this worker" in (late.lacking or "")


async def test_a_server_that_started_anew_and_lost_nothing_is_believed(
    shop: Shop, running: CatalogueFollower, power: Power
) -> None:
    power.off()
    power.on()
    await running.refresh()
    vouched = (await shop.stores.sales.changes(0)).vouched
    await shop.stores.sales.put([sold_out("s1")])

    await running.refresh()

    assert (open_now(running), running.lacking) == (["s2"], None)
    assert vouched == 0


async def test_a_sale_that_closed_meanwhile_is_no_loss(shop: Shop, power: Power) -> None:
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sold_out("s1")])
    await live.refresh()
    await empty(shop)

    for _ in range(2):
        await live.refresh()

    assert (open_now(live), live.lacking) == ([], None)


async def test_a_store_away_at_the_start_shows_no_saved_sale_that_closed(
    shop: Shop, power: Power
) -> None:
    power.on()
    live = shop.live(scorer())
    closed = sale("closed", opens_at=NOON, closes_at=datetime(2026, 1, 2, tzinfo=UTC))
    await shop.stores.sales.put([sale("s1"), sold_out("out"), closed])
    await live.refresh()
    power.off()
    started = shop.live(scorer(sale("seed")))

    await started.fall_back()

    assert open_now(started) == ["s1"]
