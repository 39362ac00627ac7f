"""Checks of the store for ``python -m app doctor``, as the user that the service connects as."""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Final

from app.catalogue.known_catalogue import ADVICE
from app.cli.damaged_keys import damaged_keys
from app.cli.finding import Finding, Verdict
from app.cli.last_known import last_known
from app.errors import StoreUnavailableError
from app.experiments.plan_file import first_plan
from app.health.readiness import UNREADABLE_ADVICE, unreadable_reason
from app.health.store_monitor import SKEW_S, STORE_ADVICE, WRITES_ADVICE
from app.recommend.currency import mixed_currencies
from app.settings import Settings
from app.stores.connection import Connection
from app.stores.sale import UNLOGGED_ADVICE
from app.stores.server import NO_EVICTION, StoreServer, evicting
from app.stores.store import Stores
from models.domain.errors import UserError
from models.domain.units import SECOND_US

# Chosen: longer than the service waits, so that a slow store gets a finding, not an error.
TIMEOUT_S: Final = 5.0
# Enough that one slow round trip does not decide the median; chosen.
N_PINGS: Final = 20
# A tenth of the default deadline, for the one round trip of an answer; chosen, not measured.
SLOW_STORE_MS: Final = 5.0
# As the service warns of, see `app.health.store_monitor.SKEW_S`.
SKEW_MS: Final = SKEW_S * 1e3
# The oldest version that docs/store.md supports.
LEAST_REDIS: Final = (7, 0)
MS: Final = 1e3
UNREAD_ADVICE: Final = "look at `store keys` and `store rights` above"


async def store_findings(url: str, settings: Settings) -> list[Finding]:
    """Check version, settings, latency, clock, rights and sales of the store."""
    connection = Connection.open(url, timeout_s=TIMEOUT_S)
    findings: list[Finding] = []
    try:
        infos = await connection.info(doing="examining it")
        stores = Stores.over(connection)
        latency = await _latency(connection)
        before = time.time()
        store_s = await stores.server.time_us() / SECOND_US
        # The store read its clock between request and reply: compare with the middle.
        skew_ms = (store_s - (before + time.time()) / 2) * MS
        findings += [
            *server_findings(infos),
            latency,
            skew_finding(skew_ms),
            await rights_finding(stores.server),
            *await damaged_keys(stores),
        ]
        findings.append(await _catalogue(stores, settings))
        findings += await _currencies(stores, settings)
    except StoreUnavailableError as exc:
        findings.append(Finding("store", Verdict.FAILURE, str(exc), STORE_ADVICE))
    finally:
        await connection.close()
    return findings


def server_findings(infos: Sequence[Mapping[str, object]]) -> list[Finding]:
    """Check versions and settings of all servers, by their own ``INFO``."""
    versions = [version_finding(info) for info in infos]
    policy = evicting(infos)
    is_kept = all(str(info.get("aof_enabled")) == "1" for info in infos)
    return [
        next((one for one in versions if one.verdict is not Verdict.OK), versions[0]),
        Finding.checked(
            "store eviction",
            policy,
            is_ok=policy == NO_EVICTION,
            advice="set maxmemory-policy noeviction: a full store would drop customers and sales",
            otherwise=Verdict.FAILURE,
        ),
        Finding.checked(
            "store persistence",
            "append-only file" if is_kept else "no append-only file",
            is_ok=is_kept,
            advice="set appendonly yes: without it, a restart loses acknowledged writes",
        ),
    ]


def version_finding(info: Mapping[str, object]) -> Finding:
    """Check the kind and version of the store, by its own ``INFO``."""
    name = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{name}_version", "0"))
    return Finding.checked(
        "store version",
        f"{name} {version}",
        is_ok=name == "valkey" or tuple(map(int, version.split(".")[:2])) >= LEAST_REDIS,
        advice="install Redis 7.0 or later, or Valkey",
        otherwise=Verdict.FAILURE,
    )


async def _currencies(stores: Stores, settings: Settings) -> list[Finding]:
    try:
        stored = await stores.plans.read() or first_plan(settings.plan)
        sales = (await stores.sales.changes(0)).sales
        mixed = mixed_currencies(stored.plan, sales, now_us=await stores.server.time_us())
    except (UserError, ValueError):  # the checks of rights, keys and plan report it
        return []
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
    return Finding.checked(
        "store latency",
        f"{median(taken):.2f} ms a round trip (median of {N_PINGS})",
        is_ok=median(taken) <= SLOW_STORE_MS,
        advice="move it nearer to the service: every answer waits for one round trip",
    )


def skew_finding(skew_ms: float) -> Finding:
    """Check how far the store's clock is ahead of this machine's."""
    return Finding.checked(
        "clock",
        f"the store's clock is {skew_ms:+.1f} ms from this machine's",
        is_ok=abs(skew_ms) <= SKEW_MS,
        advice="synchronise both by NTP: by the store's clock sales open and close, and events are"
        " refused as too old or of the future; in an outage sales follow this machine's",
    )


async def rights_finding(server: StoreServer) -> Finding:
    """Check that the store takes writes, and the rights of its user."""
    try:
        refused = await server.refused_write()
    except StoreUnavailableError as exc:
        return Finding("store rights", Verdict.FAILURE, str(exc), STORE_ADVICE)
    if refused is not None:
        refusal, reason = refused
        return Finding("store rights", Verdict.FAILURE, reason, WRITES_ADVICE[refusal])
    return Finding("store rights", Verdict.OK, "all that the service keeps can be read and written")


async def _catalogue(stores: Stores, settings: Settings) -> Finding:
    try:
        known = await last_known(stores, settings.state_dir)
        n_unlogged = (await stores.sales.changes(0)).n_unlogged
    except StoreUnavailableError as exc:
        return Finding("store catalogue", Verdict.FAILURE, str(exc), UNREAD_ADVICE)
    if known.lacking is not None:
        return Finding("store catalogue", Verdict.FAILURE, known.lacking, ADVICE)
    if (seen := unreadable_reason(known.unreadable, known.unreadable_pictures)) is not None:
        return Finding("store catalogue", Verdict.FAILURE, seen, UNREADABLE_ADVICE)
    if n_unlogged:
        seen = f"the log of changes lacks {n_unlogged} sales and pictures that are stored"
        return Finding("store catalogue", Verdict.WARNING, seen, UNLOGGED_ADVICE)
    return Finding.checked(
        "store catalogue",
        f"{len(known.sales) or 'no'} sales" + ("" if known.sales else " yet"),
        is_ok=bool(known.sales),
        advice="run `python -m app load --data DIR`, or put sales",
    )
