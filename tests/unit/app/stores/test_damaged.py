"""Values that another program stored under the service's keys: each takes nothing else away."""

from typing import cast

import pytest
from structlog.testing import capture_logs

from app.cli.damaged_keys import damaged_keys
from app.cli.finding import Finding, Verdict
from app.errors import StoreUnavailableError, TooManyMarketsError
from app.stores.bundle import Wanted
from app.stores.connection import Connection
from app.stores.event_outcome import EventStatus
from app.stores.keys import (
    ATTRIBUTES,
    CHANGES,
    EARLIER_PROMOTIONS,
    FORM,
    GENERATION,
    MARKETS,
    PICTURES,
    PLAN,
    PLAN_AUDIT,
    PROMOTER,
    PROMOTION,
    SALES,
    VERSION,
    VOUCHED,
    WANTED,
    WORKERS,
    CustomerKeys,
    bought_in,
    counts_prefix,
    events_stream,
    history_hour,
    partition,
    promotion_counts,
)
from app.stores.picture import LabelledPicture
from app.stores.promotion import CountBatch, StoredPromotion
from app.stores.sale import CHANGE_CATALOGUE
from app.stores.store import Stores
from models.catalogue.event_counts import grid_floor
from models.domain.event import EventType, key
from models.domain.sale import MAX_MARKETS
from models.domain.units import HOUR_US, SECOND_US
from tests.contract.test_lost_entries import ENTRY_BYTES
from tests.contract.test_sale_store import sale, scores
from tests.contract.visit import event
from tests.promotions import begun

C1 = CustomerKeys.for_customer("c1")
COUNTS = counts_prefix(partition("c1"))


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


@pytest.fixture
def stores(connection: Connection) -> Stores:
    return Stores.over(connection)


async def store(stores: Stores, *command: str | bytes | int) -> None:
    await stores.connection.execute(*command, doing="writing as another program")


async def found_damage(stores: Stores) -> list[Finding]:
    return [one for one in await damaged_keys(stores) if one.verdict is not Verdict.OK]


@pytest.mark.parametrize("value", [b"", b"abc", b"1.5", b"-7", b"\xff", b"9" * 16, b"9" * 400])
@pytest.mark.parametrize("name", [VERSION, GENERATION, VOUCHED])
async def test_a_damaged_scalar_of_the_catalogue_is_written_anew(
    stores: Stores, name: str, value: bytes
) -> None:
    await stores.sales.put([sale("s1")])
    before = (await stores.sales.changes(0)).version
    await store(stores, "SET", name, value)

    read = await stores.sales.changes(0)
    put = await stores.sales.put([sale("s2")])
    await stores.sales.vouch(before)
    after = await stores.sales.changes(0)

    assert [one.sale_id for one in read.sales] == ["s1"]
    assert before < put < after.version == after.vouched
    assert {one.sale_id for one in after.sales} == {"s1", "s2"}
    assert int(after.generation) > 0
    assert await found_damage(stores) == []


async def test_a_lost_generation_is_no_mark_of_an_incomplete_catalogue(stores: Stores) -> None:
    version = await stores.sales.put([sale("s1")])
    await store(stores, "DEL", GENERATION)
    lost = await stores.sales.changes(0)
    await stores.sales.distrust(lost.generation, version)
    marked = await stores.sales.changes(0)
    await stores.sales.vouch()
    whole = await stores.sales.changes(0)

    assert (lost.generation, marked.generation) == ("0", "")
    assert int(whole.generation) == whole.vouched > version
    assert await found_damage(stores) == []


@pytest.mark.parametrize("name", [VERSION, GENERATION, VOUCHED])
async def test_a_scalar_of_the_catalogue_of_another_type_is_written_anew(
    stores: Stores, name: str
) -> None:
    await stores.sales.put([sale("s1")])
    await store(stores, "DEL", name)
    await store(stores, "LPUSH", name, "a")

    read = await stores.sales.changes(0)
    await stores.sales.distrust("0", 5)
    await stores.sales.vouch()

    assert [one.sale_id for one in read.sales] == ["s1"]
    assert await found_damage(stores) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "0 bytes are no packed picture"),
        (b"garbage", "7 bytes are no packed picture of 26465 labels"),
        (bytes(5), "5 bytes are no packed picture of 0 labels"),
        (bytes(5) + b"\x00\x00\xc0\x7f" * 132, "its scores are not below 1000"),
        (bytes(5) + b"\xff\xff\x7f\x7f" * 132, "its scores are not below 1000"),
    ],
)
async def test_a_damaged_picture_takes_neither_its_sale_nor_others_away(
    stores: Stores, value: bytes, reason: str
) -> None:
    await stores.sales.put([sale("s1"), sale("s2")])
    pictures = [LabelledPicture(i, scores(1), "m", number=n) for i in ("s1", "s2") for n in (1, 2)]
    await stores.sales.put_pictures(pictures)
    await store(stores, "HSET", PICTURES, "2s1", value)

    with capture_logs() as lines:
        changes, read = await stores.sales.changes(0), await stores.sales.read("s1")

    assert {one.sale_id for one in changes.sales} == {"s1", "s2"}
    assert {(one.sale_id, one.number) for one in changes.pictures} == {
        *{("s1", 1), ("s2", 1), ("s2", 2)}
    }
    assert changes.unreadable_pictures == {("s1", 2): reason}
    assert read is not None
    assert ([one.number for one in read.pictures], read.unreadable) == ([1], {("s1", 2): reason})
    [line] = lines
    assert (line["n_pictures"], line["first"]) == (1, [(("s1", 2), reason)])

    await stores.sales.put([sale("s1")], without=read.unreadable)

    after = await stores.sales.changes(changes.version)
    assert (after.unreadable_pictures, after.unpictured) == ({}, (("s1", 2),))


async def test_a_picture_that_was_mended_since_it_was_found_unreadable_stays(
    stores: Stores,
) -> None:
    """What is known of it is up to minutes old where a dataset is loaded."""
    await stores.sales.put([sale("s1")])
    await stores.sales.put_pictures([LabelledPicture("s1", scores(1), "m", number=2)])

    await stores.sales.put([sale("s1")], without=[("s1", 2)])

    assert [one.number for one in (await stores.sales.changes(0)).pictures] == [2]


@pytest.mark.parametrize(("found", "n_stored"), [(b"abc", 0), (b"other", 1)])
async def test_an_unreadable_picture_is_deleted_by_its_bytes_only(
    stores: Stores, found: bytes, n_stored: int
) -> None:
    """Another may be put between the look at it and its deletion."""
    await stores.sales.put([sale("s1")])
    await store(stores, "HSET", PICTURES, "2s1", b"abc")
    keys = (SALES, PICTURES, CHANGES, VERSION, GENERATION, MARKETS, ATTRIBUTES)

    reply = await stores.connection.run(
        CHANGE_CATALOGUE, keys, 63, 100, "u2s1", found, doing="deleting"
    )

    n_left = await stores.connection.execute("HLEN", PICTURES, doing="counting")
    assert (cast("list[int]", reply)[1], n_left) == (1 - n_stored, n_stored)


async def test_a_refused_sale_keeps_its_unreadable_pictures(stores: Stores) -> None:
    most = [f"m{n}" for n in range(MAX_MARKETS)]
    await stores.sales.put([sale("s1"), sale("s2", markets=most)])
    await store(stores, "HSET", PICTURES, "2s1", b"abc")

    with pytest.raises(TooManyMarketsError):
        await stores.sales.put([sale("s1", markets=["another"])], without=[("s1", 2)])

    assert await stores.connection.execute("HLEN", PICTURES, doing="counting") == 1


async def test_members_that_no_version_wrote_are_no_changes(stores: Stores) -> None:
    await stores.sales.put([sale("s1")])
    for member in (b"", b"x", b"p", b"pXs1", b"s\xff\xfe"):
        await store(stores, "ZADD", CHANGES, 5, member)

    changes = await stores.sales.changes(0)

    assert [one.sale_id for one in changes.sales] == ["s1"]
    assert (changes.unreadable, changes.unreadable_pictures) == ({}, {})


@pytest.mark.parametrize("value", ["garbage", "5", '"text"', "[]", '{"markets": 5}', ""])
async def test_a_damaged_sale_is_replaced(stores: Stores, value: str) -> None:
    await stores.sales.put([sale("s1", markets=["fr"])])
    await store(stores, "HSET", SALES, "s1", value)
    await store(stores, "HSET", MARKETS, "fr", "garbage")

    damaged = await stores.sales.changes(0)
    await stores.sales.put([sale("s1", markets=["fr", "de"])])

    assert (damaged.sales, damaged.n_sales, list(damaged.unreadable)) == ((), 1, ["s1"])
    [after] = (await stores.sales.changes(0)).sales
    assert after.markets == ("fr", "de")


async def test_a_sale_under_another_id_is_unreadable(stores: Stores) -> None:
    await stores.sales.put([sale("s1"), sale("s2")])
    await store(stores, "HSET", SALES, "s2", sale("s1", title="copied").model_dump_json())

    changes = await stores.sales.changes(0)

    assert [(one.sale_id, one.title) for one in changes.sales] == [("s1", None)]
    assert changes.unreadable == {"s2": "sale_id: it is that of 's1'"}


async def test_damaged_events_of_a_customer_are_left_out_and_go_with_an_erasure(
    stores: Stores,
) -> None:
    now_us = await stores.server.time_us()
    shown = event("e2", at_us=now_us, type=EventType.IMPRESSION)
    await stores.customers.append([event("e1", at_us=now_us - 1), shown])
    for member in (b"short", bytes(23) + b"\x0f", b"\xff" * 16 + b"\xff" * 7 + b"\x01"):
        await store(stores, "ZADD", C1.window, 5, member)
    await store(stores, "ZADD", C1.shown, 5, b"longer than a key")
    await store(stores, "SET", C1.profile, b"garbage")

    with capture_logs() as lines:
        read = await stores.customers.read("c1")
        known = await stores.customers.describe("c1")
    refund = event("e3", at_us=now_us, type=EventType.REFUND)
    [outcome] = await stores.customers.append([refund])

    for one in (read, known):
        assert one.window.sale_keys.tolist() == [key("s1")]
        assert one.window.shown.sale_keys.tolist() == [key("s1")]
        assert one.profile.first_us == 0
    [line] = lines
    assert (line["n_members"], line["profile"]) == (
        4,
        "a packed profile begins with 93 bytes of numbers, got 7 bytes",
    )
    assert outcome.status is EventStatus.ACCEPTED
    assert (await stores.customers.erase("c1")).n_events == 5
    assert len((await stores.customers.read("c1")).window) == 0


@pytest.mark.parametrize("name", [C1.window, C1.shown, C1.profile, C1.recent + ":1"])
async def test_a_customer_of_another_type_is_named_without_the_id_and_can_be_erased(
    stores: Stores, name: str
) -> None:
    """Others of the batch are taken."""
    now_us = await stores.server.time_us()
    day = now_us // (86_400 * SECOND_US)
    name = name.replace(":1", f":{day}") if name.startswith("i:") else name
    await store(stores, "LPUSH", name, "a")
    batch = [event(f"e-{one}", at_us=now_us, customer_id=one) for one in ("c1", "c2")]

    with capture_logs() as lines:
        outcomes = await stores.customers.append(batch)

    if name != C1.profile:
        assert [one.status for one in outcomes] == ["unavailable", "accepted"]
        assert "wrong kind of value" in lines[0]["reason"]
        assert f"c:{FORM}:{{{partition('c1')}}}:…" in lines[0]["reason"]
        assert "c1" not in lines[0]["reason"]
        with pytest.raises(StoreUnavailableError, match="redis-cli DEL"):
            await stores.customers.append(batch[:1])
    await stores.customers.erase_again([("c1", now_us)])
    await stores.customers.erase("c1")
    late = event("e9", at_us=await stores.server.time_us() + SECOND_US)
    assert [one.status for one in await stores.customers.append([late])] == ["accepted"]


@pytest.mark.parametrize("kind", ["h", "m", "u", "written", "lost"])
async def test_an_event_is_not_half_taken_where_a_counter_is_of_another_type(
    stores: Stores, kind: str
) -> None:
    now_us = await stores.server.time_us()
    at = {"h": now_us // HOUR_US, "u": now_us // HOUR_US, "m": now_us // (60 * SECOND_US)}
    for later in (0, 1):
        await store(stores, "SET", f"{COUNTS}{kind}{at[kind] + later if kind in at else ''}", "a")

    with pytest.raises(StoreUnavailableError, match=r"appending events: .* wrong kind of value"):
        await stores.customers.append([event("e1", at_us=now_us)])

    assert len((await stores.customers.read("c1")).window) == 0


async def test_damaged_counts_count_none_and_take_no_others_away(stores: Stores) -> None:
    now_us = await stores.server.time_us()
    await stores.customers.append([event("e1", at_us=now_us - HOUR_US)])
    hour = now_us // HOUR_US
    field = key("s1").to_bytes(8, "big") + bytes([2, 0, 0])
    for name in (f"{COUNTS}h{hour - 1}", history_hour(hour - 1)):
        await store(stores, "HSET", name, field, "3", b"hello world", "5", bytes(11), "garbage")
        await store(stores, "HSET", name, b"\x01" * 8 + bytes(3), "9" * 30)
    await store(stores, "SET", f"{counts_prefix(1)}h{hour - 1}", "of another type")
    before_us = hour * HOUR_US

    counts = await stores.counts.since(hour - 1, until_us=max(before_us, grid_floor(now_us)))

    known = counts.sale_keys == key("s1")
    assert counts.counts[known & (counts.hours == hour - 1)].tolist() == [3, 3]
    assert (~known).sum() == 0
    assert list(counts.unread) == [1]


async def test_a_lost_count_of_written_bytes_goes_on_from_the_stream(stores: Stores) -> None:
    """So that the oldest entries are still dropped, and none too early."""
    now_us = await stores.server.time_us()
    events = [event(f"e{n:03d}", at_us=now_us) for n in range(20)]
    await stores.customers.append(events)
    for damage in (("DEL", f"{COUNTS}written"), ("HSET", f"{COUNTS}written", "events", "garbage")):
        await store(stores, *damage)
        await stores.customers.append([event(f"{damage[0]:_<4}", at_us=now_us)])

    stream = events_stream(partition("c1"))
    entries = await stores.connection.execute("XRANGE", stream, "-", "+", doing="reading")
    written = [
        int(fields[b"b"]) for _, fields in cast("list[tuple[str, dict[bytes, bytes]]]", entries)
    ]

    n_bytes = len(events[0].model_dump_json(exclude_none=True)) + ENTRY_BYTES
    assert written == [n * n_bytes for n in range(1, 23)]


@pytest.mark.parametrize(
    ("name", "damage", "doing"),
    [
        (PLAN, ("HSET", PLAN, "version", "abc", "json", "{}"), "plan"),
        (PROMOTION, ("HSET", PROMOTION, "version", "abc", "json", "{}"), "promotion"),
        (promotion_counts(1), ("HSET", promotion_counts(1), "answers", "abc"), "counts"),
        (f"{COUNTS}lost", ("HSET", f"{COUNTS}lost", "events", "abc"), "lost"),
        (f"{COUNTS}since", ("SET", f"{COUNTS}since", "abc"), "since"),
    ],
)
async def test_a_damaged_number_is_an_error_with_its_key_and_what_to_do(
    stores: Stores, name: str, damage: tuple[str, ...], doing: str
) -> None:
    reads = {
        "plan": (stores.plans.version, stores.plans.read),
        "promotion": (stores.promotions.version, stores.promotions.read),
        "counts": (lambda: stores.promotions.counts(1),),
        "lost": (stores.server.lost,),
        "since": (stores.counts.first_live_us,),
    }
    await store(stores, *damage)

    for read in reads[doing]:
        with pytest.raises(StoreUnavailableError) as caught:
            await read()
        assert f"{name} holds b'abc', and no whole number" in str(caught.value)
        assert f"`redis-cli DEL '{name}'`" in str(caught.value)
    # Counts of a promotion are looked at where there is one.
    named = [name in one.seen for one in await found_damage(stores)]
    assert named == ([] if doing == "counts" else [True])


async def test_what_another_version_logged_is_left_out(stores: Stores) -> None:
    await store(stores, "LPUSH", PLAN_AUDIT, '{"of": "another version"}')
    await store(stores, "LPUSH", EARLIER_PROMOTIONS, "garbage")
    await store(stores, "HSET", WORKERS, "new-7", f"{2**50:016d}" + '{"of": "another version"}')
    await store(stores, "HSET", WANTED, "active", b"\xff")

    assert (await stores.plans.audit(9), await stores.promotions.earlier(9)) == ([], [])
    [report] = await stores.bundles.reports()
    assert (report.worker, report.active) == ("new-7", "")
    assert "another version" in (report.failure or "")
    assert await stores.bundles.wanted() == Wanted("\\xff", "", "")
    await stores.bundles.report(report)
    await store(stores, "HSET", WORKERS, "old", "garbage")
    await stores.bundles.report(report)
    assert [one.worker for one in await stores.bundles.reports()] == ["new-7"]


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("catalogue", SALES, "python -m app load --data DIR"),
        ("catalogue", CHANGES, "python -m app load --data DIR"),
        ("plan of experiments", PLAN, "python -m app plan apply FILE"),
        ("promotion", PROMOTER, "python -m app promotion begin"),
        ("bundles", WANTED, "python -m app activate ID"),
        ("streams", events_stream(3), "begin a new stream"),
        ("secrets of erasures", "e:{3}:secret", "python -m app apply-erasures --data DIR"),
        ("counters of streams", "n:{3}:written", "written anew"),
        ("loaded counts", "l:{history}:HOUR", "python -m app load --data DIR"),
        ("live counts", "n:{3}:hHOUR", "counts of its hour"),
        ("live counts", "n:{3}:bHOUR", "counts of its hour"),
        ("live counts", "n:{3}:uNOW", "counts of its hour"),
    ],
)
async def test_a_key_of_another_type_is_named_by_doctor_with_what_to_do_for_its_kind(
    stores: Stores, kind: str, name: str, advice: str
) -> None:
    hour = await stores.server.time_us() // HOUR_US
    name = name.replace("HOUR", str(hour - 14 * 24)).replace("NOW", str(hour))
    await store(stores, "GEOADD", name, 2, 48, "a")  # a sorted set, as only the changes are
    if name == CHANGES:
        await store(stores, "DEL", name)
        await store(stores, "SET", name, "a")

    [found] = await found_damage(stores)

    assert found.verdict is Verdict.FAILURE
    assert found.seen == f"{kind}: 1 keys hold what the service does not store there, {name}"
    assert "redis-cli DEL KEY" in found.advice
    assert advice in found.advice


async def test_a_document_of_another_version_is_named_by_doctor(stores: Stores) -> None:
    await store(stores, "HSET", PLAN, "version", 3, "json", "[]")
    await store(stores, "HSET", PROMOTION, "version", 4, "json", "[]")

    plan, promotion = await found_damage(stores)

    assert plan.seen.startswith("the stored plan of experiments, version 3, is none of this")
    assert "python -m app plan apply FILE" in plan.advice
    assert promotion.seen.startswith("the stored promotion, version 4, is none of this")
    assert "python -m app promotion begin" in promotion.advice


@pytest.mark.parametrize("damage", [("SET", "a"), ("HSET", "answers", "a")])
async def test_damaged_counts_of_the_latest_promotion_are_named_by_doctor(
    stores: Stores, damage: tuple[str, ...]
) -> None:
    await stores.promotions.change(StoredPromotion(1, begun(number=7)), before=0, begins=True)
    command, *value = damage
    await store(stores, command, promotion_counts(7), *value)

    [found] = await found_damage(stores)

    assert promotion_counts(7) in found.seen
    assert "counts from 0 again" in found.advice


@pytest.mark.parametrize("right", ["hgetall", "hmget", "xlen"])
async def test_what_cannot_be_read_is_not_called_damage(
    stores: Stores, connection: Connection, right: str
) -> None:
    """A key that is named as damaged is removed by hand, and a promotion's counts with it."""
    await stores.promotions.change(StoredPromotion(1, begun(number=7)), before=0, begins=True)
    await stores.promotions.count(CountBatch(7, {"answers": 3}, "w1", "b1"))
    await connection.execute("ACL", "SETUSER", "default", f"-{right}", doing="changing rights")
    try:
        found = await found_damage(stores)
    finally:
        await connection.execute("ACL", "SETUSER", "default", f"+{right}", doing="changing rights")

    assert found
    for one in found:
        assert one.seen.startswith("not checked: the store is unavailable while ")
        assert f"'{right}'" in one.seen
        assert "DEL" not in one.advice


async def test_an_event_is_not_half_taken_where_purchases_of_its_hour_are_of_another_type(
    stores: Stores,
) -> None:
    now_us = await stores.server.time_us()
    bought = event("e1", at_us=now_us - 5 * HOUR_US, type=EventType.PURCHASE)
    refund = event("e2", at_us=now_us, type=EventType.REFUND)
    name = bought_in(partition("c1"), now_us // HOUR_US - 5)

    await store(stores, "SET", name, "a")
    with pytest.raises(StoreUnavailableError, match="wrong kind of value"):
        await stores.customers.append([bought])
    none = len((await stores.customers.read("c1")).window)
    await store(stores, "DEL", name)
    await stores.customers.append([bought])
    await store(stores, "DEL", name)
    await store(stores, "SET", name, "a")
    with pytest.raises(StoreUnavailableError, match="wrong kind of value"):
        await stores.customers.append([refund])
    one = len((await stores.customers.read("c1")).window)
    await store(stores, "DEL", name)

    assert (none, one) == (0, 1)
    assert [each.status for each in await stores.customers.append([refund])] == ["accepted"]
