"""``python -m app doctor``: what this machine lacks to serve, and what to do about it."""

import asyncio
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_hex
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter
from typing import Final, cast

from app.catalogue.known_catalogue import ADVICE, KnownCatalogue, SavedCatalogue
from app.catalogue.snapshot_archive import STATE_ADVICE, SnapshotArchive
from app.errors import StoreUnavailableError
from app.experiments.plan_file import first_plan
from app.health.store_monitor import NO_EVICTION, WRITES_ADVICE
from app.recommend.currency import mixed_currencies
from app.resources import SNAPSHOTS
from app.security.key_ring import KeyFileError, read_keys
from app.settings import Settings
from app.stores.connection import Command, Connection
from app.stores.keys import PREFIXES
from app.stores.server import refusal_of
from app.stores.store import Stores
from models.experiments.plan.plan_file import PlanFileError
from models.neighbours.search import Device, is_built_for_gpu, search_device
from models.pictures.onnx import Provider, listed_providers
from models.pictures.scene_labeller import SceneLabeller, SceneModelError
from models.scoring.bundle import Bundle, BundleError, read_bundle, resolve_bundle
from models.scoring.scorer import LABELS_FILE, SCENES_FILE, Scorer

TIMEOUT_S: Final = 5.0
N_PINGS: Final = 20
SLOW_STORE_MS: Final = 5.0
SKEW_MS: Final = 1_000.0
OLD_DAYS: Final = 7.0
DAY_S: Final = 24 * 3600.0
LITTLE_DISK_BYTES: Final = 1_000_000_000
LEAST_DISK_BYTES: Final = 16_000_000
"""A catalogue of 100,000 sales with its counts."""
LEAST_REDIS: Final = (7, 0)
GB: Final = 1e9
MB: Final = 1e6
MS: Final = 1e3
WORLD_WRITABLE: Final = 0o002
NOBODY: Final = "doctor"
FAR_S: Final = 2**33
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
"""Commands that change something, or that only scripts use; tried where the service uses them."""


NO_GPU: Final = (
    "see by nvidia-smi that a GPU and its driver are there, and that the CUDA packages are those of"
    " requirements/service-gpu.txt; or install requirements/service-cpu.txt"
)


class Verdict(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what it is like, and what to do.

    Attributes:
        subject: What was looked at.
        verdict: How bad it is.
        seen: What it is like.
        advice: What to do; empty where nothing is to do.
    """

    subject: str
    verdict: Verdict
    seen: str
    advice: str = ""


def examine(settings: Settings, store_url: str) -> list[Finding]:
    """Look at everything that serving needs; what cannot be looked at is a finding too."""
    return [
        *asyncio.run(_store(store_url, settings)),
        *asyncio.run(_money(settings, store_url)),
        *_bundle(settings),
        search_finding(search_device(), built_for_gpu=is_built_for_gpu()),
        _keys(settings),
        _plan(settings),
        _network(settings),
        disk_finding(settings),
    ]


async def _store(url: str, settings: Settings) -> list[Finding]:
    connection = Connection.open(url, timeout_s=TIMEOUT_S)
    try:
        info = cast("dict[str, object]", await connection.execute("INFO", doing="examining it"))
        return [
            version_finding(info),
            _policy(str(info.get("maxmemory_policy", NO_EVICTION))),
            _persistence(info),
            await _latency(connection),
            await _clock(connection),
            await rights_finding(connection),
            await _catalogue(Stores.over(connection), settings),
        ]
    except StoreUnavailableError as exc:
        advice = "start it, or correct VITRINE_REDIS_URL; docs/store.md lists the rights it needs"
        return [Finding("store", Verdict.FAILURE, str(exc), advice)]
    finally:
        await connection.close()


def version_finding(info: Mapping[str, object]) -> Finding:
    """Say which store it is, by what it says of itself, and whether it is new enough."""
    name = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{name}_version", "0"))
    is_new = name == "valkey" or tuple(map(int, version.split(".")[:2])) >= LEAST_REDIS
    verdict = Verdict.OK if is_new else Verdict.FAILURE
    advice = "" if is_new else "install Redis 7.0 or later, or Valkey"
    return Finding("store version", verdict, f"{name} {version}", advice)


def _policy(policy: str) -> Finding:
    if policy == NO_EVICTION:
        return Finding("store eviction", Verdict.OK, policy)
    advice = "set maxmemory-policy noeviction: full, it would forget customers and sales"
    return Finding("store eviction", Verdict.FAILURE, policy, advice)


def _persistence(info: dict[str, object]) -> Finding:
    if str(info.get("aof_enabled")) == "1":
        return Finding("store persistence", Verdict.OK, "append-only file")
    advice = "set appendonly yes: without, a restart forgets what was acknowledged"
    return Finding("store persistence", Verdict.WARNING, "no append-only file", advice)


async def _money(settings: Settings, url: str) -> list[Finding]:
    connection = Connection.open(url, timeout_s=TIMEOUT_S)
    stores = Stores.over(connection)
    try:
        stored = await stores.plans.read() or first_plan(settings.plan)
        sales = (await stores.sales.changes(0)).sales
        mixed = mixed_currencies(stored.plan, sales, now_us=await stores.server.time_us())
    except (StoreUnavailableError, PlanFileError):
        return []  # another finding says so
    finally:
        await connection.close()
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
    advice = "put it nearer to the service: every answer waits for one round trip"
    return Finding("store latency", Verdict.WARNING, seen, advice)


async def _clock(connection: Connection) -> Finding:
    before = time.time()
    seconds, us = cast("tuple[int, int]", await connection.execute("TIME", doing="asking the time"))
    return skew_finding((seconds + us / 1e6 - (before + time.time()) / 2) * MS)


def skew_finding(skew_ms: float) -> Finding:
    """Say how far the store's clock is ahead of this machine's, and whether that matters."""
    seen = f"the store's clock is {skew_ms:+.1f} ms from this machine's"
    if abs(skew_ms) <= SKEW_MS:
        return Finding("clock", Verdict.OK, seen)
    advice = "synchronise both by NTP: while the store is away, sales close by this machine's clock"
    return Finding("clock", Verdict.WARNING, seen, advice)


async def rights_finding(connection: Connection) -> Finding:
    """Say whether the service may do what it does with keys of each kind, by trying."""
    stores = Stores.over(connection)
    try:
        await _try_writing(connection)
        _ = await stores.customers.describe(NOBODY)
        _ = await stores.sales.read(NOBODY)
        _ = await stores.bundles.wanted()
        _ = await stores.server.lost()
    except StoreUnavailableError as exc:
        advice = WRITES_ADVICE[refusal_of(exc)]
        return Finding("store rights", Verdict.FAILURE, str(exc), advice)
    return Finding("store rights", Verdict.OK, "all that the service keeps can be read and written")


async def _catalogue(stores: Stores, settings: Settings) -> Finding:
    """Compare the store with the last catalogue of this machine, as a worker does that starts."""
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
    """Write to a key of each kind that nobody uses, and remove it."""
    for prefix in PREFIXES:
        name = f"{prefix}:{{{NOBODY}}}:{token_hex(8)}"
        doing = f"trying to write to {prefix}:*"
        tried: tuple[Command, ...] = TRIED.get(prefix, (("SET", "{key}", 1),))
        for words in tried:
            await connection.execute(*(name if w == "{key}" else w for w in words), doing=doing)
        await connection.execute("EXPIRE", name, 1, doing=doing)
        await connection.execute("DEL", name, doing=doing)


def _bundle(settings: Settings) -> Iterator[Finding]:
    try:
        bundle = read_bundle(resolve_bundle(settings.bundle, settings.bundles))
        scorer = Scorer.load(bundle)
        labeller = _labeller(bundle)
    except (BundleError, OSError, SceneModelError) as exc:
        advice = "train one with `python -m training train`, or copy one there"
        yield Finding("bundle", Verdict.FAILURE, str(exc), advice)
        return
    yield Finding("bundle", Verdict.OK, f"{scorer.bundle_id} is whole and reproduces its scores")
    yield _age(bundle.manifest.until)
    if labeller is None:
        yield Finding("pictures", Verdict.WARNING, "the bundle labels no pictures")
    else:
        yield provider_finding(asked=_best_provider(), got=labeller.provider)


def provider_finding(*, asked: Provider, got: Provider) -> Finding:
    """Say where pictures are labelled, and whether that was wanted."""
    if got is asked:
        return Finding("pictures", Verdict.OK, f"onnxruntime labels them on {got.value}")
    seen = f"onnxruntime was asked for {asked.value} and got {got.value}"
    return Finding("pictures", Verdict.WARNING, seen, NO_GPU)


def search_finding(got: Device, *, built_for_gpu: bool) -> Finding:
    """Say where large searches run, and whether that was wanted."""
    seen = f"faiss searches on {got.value}"
    if got is Device.CUDA or not built_for_gpu:
        return Finding("search", Verdict.OK, seen)
    return Finding("search", Verdict.WARNING, f"{seen}, though it is built for a GPU", NO_GPU)


def _best_provider() -> Provider:
    return Provider.CUDA if Provider.CUDA in listed_providers() else Provider.CPU


def _labeller(bundle: Bundle) -> SceneLabeller | None:
    if SCENES_FILE not in bundle.files:
        return None
    content, labels = bundle.content(SCENES_FILE), bundle.content(LABELS_FILE)
    return SceneLabeller.from_bytes(content, labels, provider=_best_provider())


def _age(until: str) -> Finding:
    days = (datetime.now(UTC) - datetime.fromisoformat(until)).total_seconds() / DAY_S
    seen = f"its training data ended {days:.1f} days ago"
    if days <= OLD_DAYS:
        return Finding("bundle age", Verdict.OK, seen)
    advice = "export events, train and activate: sales since then are known by their pictures alone"
    return Finding("bundle age", Verdict.WARNING, seen, advice)


def _keys(settings: Settings) -> Finding:
    if settings.keys is None:
        return Finding("keys", Verdict.OK, "none: whoever reaches the port may do everything")
    try:
        n_keys = len(read_keys(settings.keys).keys)
    except KeyFileError as exc:
        advice = "make keys with `python -m app keys new`, or correct VITRINE_KEYS"
        return Finding("keys", Verdict.FAILURE, str(exc), advice)
    if settings.keys.stat().st_mode & WORLD_WRITABLE:
        advice = f"chmod 600 {settings.keys}: who writes there makes himself a key"
        return Finding("keys", Verdict.FAILURE, "everybody may write their file", advice)
    return Finding("keys", Verdict.OK, f"{n_keys} keys in {settings.keys}")


def _plan(settings: Settings) -> Finding:
    try:
        n_experiments = len(first_plan(settings.plan).plan.experiments)
    except PlanFileError as exc:
        advice = "correct it, or unset VITRINE_PLAN; docs/experiments.md has the form"
        return Finding("plan", Verdict.FAILURE, str(exc), advice)
    where = f"in {settings.plan}" if settings.plan else "until one is put into the store"
    return Finding("plan", Verdict.OK, f"{n_experiments} experiments {where}")


def _network(settings: Settings) -> Finding:
    seen = f"listens on {settings.host}"
    if settings.keys is not None or not settings.open_to_network:
        return Finding("network", Verdict.OK, seen)
    advice = "make keys (docs/security.md), or see that only your own machines reach the port"
    return Finding("network", Verdict.WARNING, f"{seen}, to everybody, without keys", advice)


def disk_finding(settings: Settings) -> Finding:
    """Say how much room there is for state, and whether a catalogue can be written there."""
    folder = settings.state_dir.resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    seen = (
        f"{free / GB:.1f} GB free for {folder}"
        if free >= GB
        else f"{free / MB:.1f} MB free for {folder}"
    )
    try:
        with TemporaryFile(dir=there) as tried:
            tried.write(bytes(LEAST_DISK_BYTES))
    except OSError as exc:
        seen = f"{there} does not take {LEAST_DISK_BYTES / MB:.0f} MB: {exc.strerror}; {seen}"
        return Finding("disk", Verdict.FAILURE, seen, STATE_ADVICE)
    if free >= LITTLE_DISK_BYTES:
        return Finding("disk", Verdict.OK, seen)
    return Finding("disk", Verdict.WARNING, seen, "make room: snapshots of 30 days are kept there")
