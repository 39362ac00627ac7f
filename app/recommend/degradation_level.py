"""Degradation levels of answers, and their causes with advice for operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DegradationLevel(StrEnum):
    """Degradation level: the missing part of an answer, from the least to the worst."""

    STALE_COUNTS = "stale_counts"
    """No event of the last 14 days is known, and the model's data is older: ranked by the model,
    as if no sale were visited or bought."""
    ANONYMOUS = "anonymous"
    """The customer's window is unavailable: ranked as for an unknown customer."""
    VARIANT = "variant"
    """The bundle of the customer's variant is not loaded: ranked by the plan's default."""
    REMEMBERED = "remembered"
    """The store lost sales, or holds older states of them: ranked from the last ones known here."""
    POPULARITY = "popularity"
    """The model is unavailable, or there is no time for it: ranked by what is visited and bought
    most."""
    SNAPSHOT = "snapshot"
    """The store has been away for a minute, or was not read since this process was paused: the
    last known open sales, by popularity."""
    EMPTY = "empty"
    """Nothing that may be shown is open, or no catalogue was ever seen: no sales."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Cause of a degradation, with advice for operators."""

    reason: str
    advice: str


_MORE_TIME: Final = "raise VITRINE_DEADLINE_MS, or add workers or machines"

SHED: Final = Cause("overload: none of their time was left when their turn came", _MORE_TIME)
TOO_SLOW: Final = Cause(
    "too slow: the model takes longer than what is left of their time", _MORE_TIME
)
NO_MODEL: Final = Cause(
    "model missing: no bundle is loaded",
    "train one with `python -m training train`, or copy one below VITRINE_BUNDLES",
)
MODEL_FAILED: Final = Cause("the model failed", "see its error in the log, and roll back")

# By level; the cause of `POPULARITY` may be another one.
CAUSES: Final[Mapping[DegradationLevel, Cause]] = {
    DegradationLevel.STALE_COUNTS: Cause(
        "no event of the last 14 days is known",
        "send events, or load and train on newer ones; `serve --as-of TIME` replays old data",
    ),
    DegradationLevel.ANONYMOUS: Cause(
        "customers were not read from the store in time",
        "look at the store and its latency, or raise VITRINE_READ_TIMEOUT_MS",
    ),
    DegradationLevel.VARIANT: Cause(
        "the bundle of their variant is not loaded here", "copy it below VITRINE_BUNDLES"
    ),
    DegradationLevel.REMEMBERED: Cause(
        "the store lost sales", "fill it by `python -m app load --data DIR`"
    ),
    DegradationLevel.POPULARITY: NO_MODEL,
    DegradationLevel.SNAPSHOT: Cause(
        "the store has been away for a minute", "start it, or correct VITRINE_REDIS_URL"
    ),
    DegradationLevel.EMPTY: Cause("nothing is open in their market", "load sales that are open"),
}

# Levels of the catalogue, which name an answer before any other thing that it lacks.
OF_CATALOGUE: Final = frozenset({DegradationLevel.REMEMBERED, DegradationLevel.SNAPSHOT})
