"""Checks of the store for ``python -m app doctor``, as the user that the service connects as."""

import asyncio
import time
from collections.abc import Mapping
from secrets import token_hex
from statistics import median
from time import perf_counter
from typing import Final, cast

from app.catalogue.known_catalogue import ADVICE, KnownCatalogue, SavedCatalogue
from app.catalogue.snapshot_archive import SnapshotArchive
from app.cli.finding import Finding, Verdict
from app.errors import StoreUnavailableError
from app.experiments.plan_file import first_plan
from app.health.store_monitor import NO_EVICTION, WRITES_ADVICE
from app.recommend.currency import mixed_currencies
from app.resources import SNAPSHOTS
from app.settings import Settings
from app.stores.connection import Command, Connection
from app.stores.keys import PREFIXES
from app.stores.server import StoreServer, refusal_of
from app.stores.store import Stores
from models.domain.units import SECOND_US
from models.experiments.plan.plan_file import PlanFileError

TIMEOUT_S: Final = 5.0
N_PINGS: Final = 20
SLOW_STORE_MS: Final = 5.0
"""A tenth of the default deadline, for the one round trip of an answer; chosen, not measured."""
SKEW_MS: Final = 1_000.0
LEAST_REDIS: Final = (7, 0)
"""The oldest version that docs/store.md supports."""
MS: Final = 1e3
CUSTOMER: Final = "doctor"
"""Name of the customer and the sale of the trial reads, and part of the trial keys."""
FAR_S: Final = 2**33
"""A time far in the future, in seconds since the epoch, for ``EXPIREAT``."""
TRIED: Final[Mapping[str, tuple[Command, ...]]] = {
    "c": (
        ("ZADD", "{key}", 1, "a"),
        ("ZREMRANGEBYRANK", "{key}", 0, -2),
        ("ZREMRANGEBYSCORE", "{key}", "-inf", 0),
        ("ZSCORE", "{key}", "a"),
        ("ZRANGEBYSCORE", "{key}", "-inf", "+inf"),
        ("ZCARD", "{key}"),
        ("EXPIREAT", "{key}", FAR_S),
    ),
    "s": (
        ("HSET", "{key}", "a", 1),
        ("HSETNX", "{key}", "b", 1),
        ("HINCRBY", "{key}", "b", 1),
        ("HDEL", "{key}", "a"),
        ("HEXISTS", "{key}", "a"),
        ("HLEN", "{key}"),
    ),
    "i": (
        ("SADD", "{key}", 1),
        ("SISMEMBER", "{key}", 1),
        ("SCARD", "{key}"),
        ("EXISTS", "{key}"),
    ),
    "e": (("SETNX", "{key}", 1),),
    "x": (("LPUSH", "{key}", "a"), ("LTRIM", "{key}", 0, 0), ("LRANGE", "{key}", 0, 0)),
    "events": (
        ("XADD", "{key}", "*", "a", 1),
        ("XTRIM", "{key}", "MAXLEN", 1),
        ("XRANGE", "{key}", "-", "+", "COUNT", 1),
        ("XLEN", "{key}"),
    ),
}
"""Commands of the service by kind of key: writes, and commands that only scripts use."""


async def store_findings(url: str, settings: Settings) -> list[Finding]:
    """Check version, settings, latency, clock, rights and sales of the store."""
    connection = Connection.open(url, timeout_s=TIMEOUT_S)
    try:
        info = cast("dict[str, object]", await connection.execute("INFO", doing="examining it"))
        return [
            version_finding(info),
            _policy(str(info.get("maxmemory_policy", NO_EVICTION))),
            _persistence(info),
            await _latency(connection),
            await _clock(StoreServer(connection)),
            await rights_finding(connection),
            await _catalogue(Stores.over(connection), settings),
            *await _currencies(Stores.over(connection), settings),
        ]
    except StoreUnavailableError as exc:
        advice = "start it, or correct VITRINE_REDIS_URL; docs/store.md lists the rights it needs"
        return [Finding("store", Verdict.FAILURE, str(exc), advice)]
    finally:
        await connection.close()


def version_finding(info: Mapping[str, object]) -> Finding:
    """Check the kind and version of the store, by its own ``INFO``."""
    name = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{name}_version", "0"))
    is_new = name == "valkey" or tuple(map(int, version.split(".")[:2])) >= LEAST_REDIS
    verdict = Verdict.OK if is_new else Verdict.FAILURE
    advice = "" if is_new else "install Redis 7.0 or later, or Valkey"
    return Finding("store version", verdict, f"{name} {version}", advice)


def _policy(policy: str) -> Finding:
    if policy == NO_EVICTION:
        return Finding("store eviction", Verdict.OK, policy)
    advice = "set maxmemory-policy noeviction: a full store would drop customers and sales"
    return Finding("store eviction", Verdict.FAILURE, policy, advice)


def _persistence(info: dict[str, object]) -> Finding:
    if str(info.get("aof_enabled")) == "1":
        return Finding("store persistence", Verdict.OK, "append-only file")
    advice = "set appendonly yes: without it, a restart loses acknowledged writes"
    return Finding("store persistence", Verdict.WARNING, "no append-only file", advice)


async def _currencies(stores: Stores, settings: Settings) -> list[Finding]:
    try:
        stored = await stores.plans.read() or first_plan(settings.plan)
        sales = (await stores.sales.changes(0)).sales
        mixed = mixed_currencies(stored.plan, sales, now_us=await stores.server.time_us())
    except (StoreUnavailableError, PlanFileError):
        return []  # the checks of rights and plan report it
    if not mixed:
        return []
    seen = f"the plan orders by money, and current sales are priced in {', '.join(mixed)}"
    advice = "give all prices and margins in one currency: amounts are compared as they stand"
    return [Finding("currencies", Verdict.WARNING, seen, advice)]


async def _latency(connection: Connection) -> Finding:
    taken: list[float] = []
    for _ in range(N_PINGS):
        started = perf_counter()
        await connection.execute("PING", doing="pinging it")
        taken.append((perf_counter() - started) * MS)
    seen = f"{median(taken):.2f} ms a round trip (median of {N_PINGS})"
    if median(taken) <= SLOW_STORE_MS:
        return Finding("store latency", Verdict.OK, seen)
    advice = "move it nearer to the service: every answer waits for one round trip"
    return Finding("store latency", Verdict.WARNING, seen, advice)


async def _clock(server: StoreServer) -> Finding:
    before = time.time()
    store_s = await server.time_us() / SECOND_US
    # The store read its clock between request and reply: compare with the middle.
    return skew_finding((store_s - (before + time.time()) / 2) * MS)


def skew_finding(skew_ms: float) -> Finding:
    """Check how far the store's clock is ahead of this machine's."""
    seen = f"the store's clock is {skew_ms:+.1f} ms from this machine's"
    if abs(skew_ms) <= SKEW_MS:
        return Finding("clock", Verdict.OK, seen)
    advice = "synchronise both by NTP: while the store is away, sales close by this machine's clock"
    return Finding("clock", Verdict.WARNING, seen, advice)


async def rights_finding(connection: Connection) -> Finding:
    """Check the rights of the store's user, by trying every command on keys of each kind."""
    stores = Stores.over(connection)
    try:
        await _try_writing(connection)
        _ = await stores.customers.describe(CUSTOMER)
        _ = await stores.sales.read(CUSTOMER)
        _ = await stores.bundles.wanted()
        _ = await stores.server.lost()
    except StoreUnavailableError as exc:
        advice = WRITES_ADVICE[refusal_of(exc)]
        return Finding("store rights", Verdict.FAILURE, str(exc), advice)
    return Finding("store rights", Verdict.OK, "all that the service keeps can be read and written")


async def _catalogue(stores: Stores, settings: Settings) -> Finding:
    """Compare the store with the last catalogue of this machine, as a starting worker does."""
    archive = SnapshotArchive(settings.state_dir / SNAPSHOTS)

    async def saved() -> SavedCatalogue | None:
        try:
            return await asyncio.to_thread(archive.saved)
        except (OSError, ValueError):
            return None

    known = KnownCatalogue(stores.sales, saved)
    await known.update(await stores.server.time_us())
    if known.lacking is not None:
        return Finding("store catalogue", Verdict.FAILURE, known.lacking, ADVICE)
    if not known.sales:
        advice = "run `python -m app load --data DIR`, or put sales"
        return Finding("store catalogue", Verdict.WARNING, "no sales yet", advice)
    return Finding("store catalogue", Verdict.OK, f"{len(known.sales)} sales")


async def _try_writing(connection: Connection) -> None:
    """Write an unused key of each kind, and remove it."""
    for prefix in PREFIXES:
        name = f"{prefix}:{{{CUSTOMER}}}:{token_hex(8)}"
        doing = f"trying to write to {prefix}:*"
        tried: tuple[Command, ...] = TRIED.get(prefix, (("SET", "{key}", 1),))
        for words in tried:
            await connection.execute(*(name if w == "{key}" else w for w in words), doing=doing)
        await connection.execute("EXPIRE", name, 1, doing=doing)
        await connection.execute("DEL", name, doing=doing)
