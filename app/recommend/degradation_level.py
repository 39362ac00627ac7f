"""Degradation levels of answers, and their causes with advice for operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DegradationLevel(StrEnum):
    """Degradation level: the missing part of an answer, from the least to the worst."""

    STALE_COUNTS = "stale_counts"
    """Counts are old: parts of them could not be read, and are the last known ones; or no event of
    the last 14 days is known, and the model's data is older. Ranked by the model."""
    ANONYMOUS = "anonymous"
    """The customer's window was not read: ranked as for an unknown customer."""
    VARIANT = "variant"
    """The bundle of the customer's variant is not loaded, or cannot rank beside another: ranked by
    the plan's default, or by the control of the interleaving."""
    REMEMBERED = "remembered"
    """The store lost sales, or holds older states of them, or was last read more than a second ago:
    ranked from the last ones known here."""
    LIST = "list"
    """There is no model, or no time for it, or it failed: the customer's list of the last night,
    of what is still open, then what is visited and bought most."""
    POPULARITY = "popularity"
    """The same, of a customer without a list: ranked by what is visited and bought most."""
    SNAPSHOT = "snapshot"
    """The store has not confirmed the catalogue within the last minute, or since this process was
    paused or started: the last known open sales, by popularity."""
    EMPTY = "empty"
    """Nothing that may be shown is open, or no catalogue was ever seen: no sales."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Cause of a degraded answer.

    Attributes:
        level: The degradation level that it leads to.
        name: A word for it, as exposure records have it.
        reason: A sentence for operators.
        advice: What to do.
    """

    level: DegradationLevel
    name: str
    reason: str
    advice: str


_MORE_TIME: Final = "raise VITRINE_DEADLINE_MS, or add workers or machines"

SHED: Final = Cause(
    DegradationLevel.POPULARITY,
    "shed",
    "overload: the deadline had passed before the request was processed",
    _MORE_TIME,
)
TOO_SLOW: Final = Cause(
    DegradationLevel.POPULARITY,
    "too_slow",
    "too slow: the model takes longer than what is left of their time",
    _MORE_TIME,
)
NO_MODEL: Final = Cause(
    DegradationLevel.POPULARITY,
    "no_model",
    "model missing: no bundle is loaded",
    "train one with `python -m training train`, or copy one below VITRINE_BUNDLES",
)
MODEL_FAILED: Final = Cause(
    DegradationLevel.POPULARITY,
    "model_failed",
    "the model failed",
    "see its error in the log, and roll back",
)
ORDER_MISSING: Final = Cause(
    DegradationLevel.POPULARITY,
    "order_missing",
    "the plan orders by a recommender that the bundle lacks",
    "correct `order_by` in the plan (`GET /v1/plan`), or activate a bundle that has the"
    " recommender (`GET /v1/bundles`)",
)
RIVAL_NOT_RANKED: Final = Cause(
    DegradationLevel.VARIANT,
    "rival_not_ranked",
    "the second variant of their interleaving failed: the control answered alone",
    "see the error of its model in the log and `vitrine_model_errors`, and end the experiment",
)
RIVAL_TOO_SLOW: Final = Cause(
    DegradationLevel.VARIANT,
    "rival_too_slow",
    "no time was left for the second variant of their interleaving: the control answered alone",
    _MORE_TIME,
)
NOTHING_OPEN: Final = Cause(
    DegradationLevel.EMPTY,
    "nothing_open",
    "nothing is open in their market",
    "load sales that are open",
)

ALL_LOST: Final = Cause(
    DegradationLevel.EMPTY,
    "sales_lost",
    "the store lost sales, and of those that are known here nothing is open in their market",
    "fill it by `python -m app load --data DIR`",
)

CATALOGUE_LATE: Final = Cause(
    DegradationLevel.REMEMBERED,
    "catalogue_late",
    "the last complete reading of the catalogue is older than a second",
    "if `/health/full` names the store, repair it; otherwise add machines, or look at what else"
    " keeps this one busy",
)

CATALOGUE_UNREAD: Final = Cause(
    DegradationLevel.REMEMBERED,
    "catalogue_unread",
    "the last reading of the catalogue failed, and the one before is older than a second",
    "`/health/full` names the reason (`store` or `catalogue`)",
)

COUNTS_NOT_READ: Final = Cause(
    DegradationLevel.STALE_COUNTS,
    "counts_not_read",
    "parts of the counts could not be read from the store: the last known ones are used",
    "`/health/full` names the reason (`counts`)",
)

# The other causes that are known before anything is ranked; of `LIST`, `POPULARITY` and `EMPTY`
# none is.
CAUSES: Final[Mapping[DegradationLevel, Cause]] = {
    cause.level: cause
    for cause in (
        Cause(
            DegradationLevel.STALE_COUNTS,
            "no_recent_event",
            "no event of the last 14 days is known",
            "send events, or load and train on newer ones; `serve --as-of TIME` replays old data",
        ),
        Cause(
            DegradationLevel.ANONYMOUS,
            "customer_not_read",
            "customers were not read from the store in time",
            "look at the store and its latency, or raise VITRINE_READ_TIMEOUT_MS",
        ),
        Cause(
            DegradationLevel.VARIANT,
            "bundle_not_loaded",
            "the bundle of their variant is not loaded here",
            "copy it below VITRINE_BUNDLES",
        ),
        Cause(
            DegradationLevel.REMEMBERED,
            "sales_lost",
            "the store lost sales",
            "fill it by `python -m app load --data DIR`",
        ),
        Cause(
            DegradationLevel.SNAPSHOT,
            "catalogue_unconfirmed",
            "the catalogue is not confirmed: the store is unreachable, or this worker was paused or"
            " has just started",
            "if `/health/full` names the store, start it (the embedded one starts with the service)"
            ", or correct VITRINE_REDIS_URL; otherwise the worker reads the store within seconds",
        ),
    )
}

# Levels of the catalogue, which name an answer before any other thing that it lacks.
OF_CATALOGUE: Final = frozenset({DegradationLevel.REMEMBERED, DegradationLevel.SNAPSHOT})


def worse(known: Cause | None, variant: Cause) -> Cause:
    """Return the cause that names an answer which also lacks its variant."""
    return known if known is not None and known.level in OF_CATALOGUE else variant
