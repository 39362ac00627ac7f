"""Keys of the store that hold what the service does not store there, for ``doctor``, by kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from app.cli.finding import Finding, Verdict
from app.errors import MAX_NAMED, StoreUnavailableError
from app.health.store_monitor import STORE_ADVICE
from app.stores.connection import Command, Connection, is_of_another_type
from app.stores.count import KEPT_HOURS
from app.stores.keys import (
    ATTRIBUTES,
    CHANGES,
    EARLIER_PROMOTIONS,
    GENERATION,
    MARKETS,
    N_PARTITIONS,
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
    counts_prefix,
    erasures_stream,
    events_stream,
    exposures_stream,
    history_hour,
    promotion_counts,
    tombstone_secret,
)
from app.stores.store import Stores
from models.domain.units import HOUR_US

SUBJECT: Final = "store keys"

_PARTITIONS: Final = range(N_PARTITIONS)
_REMOVE: Final = "remove each (`redis-cli DEL KEY`)"
_APPLY_PLAN: Final = (
    f"{_REMOVE}, then apply the plan again (`python -m app plan apply FILE`); until then workers"
    " follow the plan that they know, and new workers that of VITRINE_PLAN"
)
_BEGIN_PROMOTION: Final = (
    f"{_REMOVE}: the promotion ends with it; begin it again (`python -m app promotion begin`)"
)


@dataclass(frozen=True, slots=True)
class KeyKind:
    """Keys of one kind.

    Attributes:
        name: What they hold.
        advice: What to do where one is damaged.
        reads: A read of each, which fails if the key is of another type.
        numbers: Reads whose replies are whole numbers.
    """

    name: str
    advice: str
    reads: Sequence[Command] = ()
    numbers: Sequence[Command] = ()


_LIVE_COUNTS: Final = KeyKind(
    "live counts",
    f"{_REMOVE}: the counts of its hour and partition are lost with it, and later events count"
    " again; until then the partition takes no event that counts there",
)


async def damaged_keys(stores: Stores) -> list[Finding]:
    """Check all keys that are no customer's; one finding for each kind that is damaged.

    Raises:
        StoreUnavailableError: If the store cannot be reached.
    """
    now_us = await stores.server.time_us()
    kinds = (*_of_shop(), *_of_partitions(), _history(now_us // HOUR_US))
    findings = [one for kind in kinds for one in await _of_kind(stores.connection, kind)]
    if live := await stores.counts.damaged(now_us=now_us):
        findings.append(_finding(_LIVE_COUNTS, live))
    findings += await _documents(stores)
    return findings or [Finding(SUBJECT, Verdict.OK, "all hold what the service stores there")]


def _of_shop() -> Iterator[KeyKind]:
    hashes = (SALES, PICTURES, MARKETS, ATTRIBUTES)
    yield KeyKind(
        "catalogue",
        f"{_REMOVE}, then load the dataset again (`python -m app load --data DIR`), or put all"
        " sales; the last known ones are served until then",
        reads=[("ZCARD", CHANGES), *(("HLEN", key) for key in hashes)],
        numbers=[("GET", key) for key in (VERSION, GENERATION, VOUCHED)],
    )
    yield KeyKind(
        "plan of experiments",
        _APPLY_PLAN,
        reads=[("LRANGE", PLAN_AUDIT, 0, 0)],
        numbers=[("HMGET", PLAN, "version")],
    )
    yield KeyKind(
        "promotion",
        _BEGIN_PROMOTION,
        reads=[("LRANGE", EARLIER_PROMOTIONS, 0, 0), ("GET", PROMOTER)],
        numbers=[("HMGET", PROMOTION, "version")],
    )
    yield KeyKind(
        "bundles",
        f"{_REMOVE}, then activate the bundle again (`python -m app activate ID`); workers report"
        " anew within seconds",
        reads=[("HLEN", WANTED), ("HLEN", WORKERS)],
    )


def _of_partitions() -> Iterator[KeyKind]:
    streams = (events_stream, exposures_stream, erasures_stream)
    yield KeyKind(
        "streams",
        f"{_REMOVE}: nothing that it holds can be exported, and entries begin a new stream",
        reads=[("XLEN", name_of(p)) for p in _PARTITIONS for name_of in streams],
    )
    yield KeyKind(
        "secrets of erasures",
        f"{_REMOVE}: its partition takes no event until then, and forgets its erasures, so apply"
        " the exported ones again (`python -m app apply-erasures --data DIR`)",
        reads=[("GET", tombstone_secret(p)) for p in _PARTITIONS],
    )
    tallies = [f"{counts_prefix(p)}{kind}" for p in _PARTITIONS for kind in ("lost", "written")]
    since = [f"{counts_prefix(p)}since" for p in _PARTITIONS]
    yield KeyKind(
        "counters of streams",
        f"{_REMOVE}: it is written anew",
        numbers=[
            *(("HMGET", key, "events", "exposures", "counts") for key in tallies),
            *(("GET", key) for key in since),
        ],
    )


def _history(running: int) -> KeyKind:
    return KeyKind(
        "loaded counts",
        f"{_REMOVE}, then load the dataset again (`python -m app load --data DIR`): answers use the"
        " last known counts until then",
        reads=[("HLEN", history_hour(at)) for at in range(running - KEPT_HOURS, running + 1)],
    )


async def _documents(stores: Stores) -> list[Finding]:
    """Check the documents whose key is whole: those of another version cannot be used."""
    findings: list[Finding] = []
    for read, advice in (
        (stores.plans.read, _APPLY_PLAN),
        (stores.promotions.read, _BEGIN_PROMOTION),
    ):
        try:
            await read()
        except StoreUnavailableError as exc:
            if not _is_damage(exc):  # else its kind reports it
                findings.append(_unread(exc))
        except ValueError as exc:
            findings.append(Finding(SUBJECT, Verdict.FAILURE, str(exc), advice))
    return [*findings, *await _promotion_counts(stores)]


async def _promotion_counts(stores: Stores) -> list[Finding]:
    try:
        latest = await stores.promotions.read()
    except (StoreUnavailableError, ValueError):  # reported already
        return []
    if latest is None:
        return []
    name = promotion_counts(latest.promotion.number)
    try:
        await stores.promotions.counts(latest.promotion.number)
    except StoreUnavailableError as exc:
        if not _is_damage(exc):
            return [_unread(exc)]
        advice = f"{_REMOVE}: the promotion counts from 0 again"
        return [_finding(KeyKind("counts of the promotion", advice), [name])]
    return []


async def _of_kind(connection: Connection, kind: KeyKind) -> list[Finding]:
    """Return one finding of all damaged keys, and one of the first that could not be read."""
    tried = [*kind.reads, *kind.numbers]
    replies = await connection.execute_each(tried, doing=f"looking for damage ({kind.name})")
    of_numbers = set(kind.numbers)
    damaged = sorted(
        str(command[1])
        for command, reply in zip(tried, replies, strict=True)
        if is_of_another_type(reply) or (command in of_numbers and not _holds_numbers(reply))
    )
    findings = [_finding(kind, damaged)] if damaged else []
    failures = (one for one in replies if isinstance(one, StoreUnavailableError))
    unread = next((one for one in failures if not _is_damage(one)), None)
    return [*findings, _unread(unread)] if unread else findings


def _holds_numbers(reply: object) -> bool:
    """Tell whether the reply to a read of whole numbers is one, or names another failure."""
    values = cast("list[object]", reply) if isinstance(reply, list) else [reply]
    return all(not isinstance(one, bytes) or one.isdigit() for one in values)


def _is_damage(exc: StoreUnavailableError) -> bool:
    """Tell whether what is stored failed a read, not a slow store or a missing right."""
    return is_of_another_type(exc) or isinstance(exc.__cause__, ValueError)


def _unread(exc: StoreUnavailableError) -> Finding:
    return Finding(SUBJECT, Verdict.FAILURE, f"not checked: {exc}", STORE_ADVICE)


def _finding(kind: KeyKind, damaged: Sequence[str]) -> Finding:
    seen = (
        f"{kind.name}: {len(damaged)} keys hold what the service does not store there,"
        f" {', '.join(damaged[:MAX_NAMED])}"
    )
    return Finding(SUBJECT, Verdict.FAILURE, seen, kind.advice)
