"""Metrics, and JSON log lines with a request id and without customer ids."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from platform import python_version
from typing import Final, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app import __version__
from app.worker_processes import Processes, live_workers

# A full answer takes a few milliseconds, so most buckets are there; the last ones are outages.
LATENCY_BUCKETS_S: Final = (
    *(0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)

ACCESS_LOGGER: Final = "vitrine.access"
AUDIT_LOGGER: Final = "vitrine.audit"

SHARE_BUCKETS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

# Chosen: few visits buy, so that equal steps would put nearly all answers into the first bucket.
PROBABILITY_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


_Mode = Literal["livesum", "livemin", "livemax", "mostrecent"]


@dataclass(frozen=True, slots=True)
class _Factory:
    """Makes metrics of one registry; labels are names with spaces between them."""

    registry: CollectorRegistry

    def counter(self, name: str, meaning: str, *, labels: str = "") -> Counter:
        return Counter(f"vitrine_{name}", meaning, labels.split(), registry=self.registry)

    def gauge(self, name: str, meaning: str, *, labels: str = "", mode: _Mode) -> Gauge:
        """Make a gauge; its mode decides which value the workers of a machine show together."""
        name, names = f"vitrine_{name}", labels.split()
        return Gauge(name, meaning, names, registry=self.registry, multiprocess_mode=mode)

    def histogram(
        self, name: str, meaning: str, *, labels: str = "", buckets: Sequence[float]
    ) -> Histogram:
        name, names = f"vitrine_{name}", labels.split()
        return Histogram(name, meaning, names, registry=self.registry, buckets=buckets)

    def seconds(self, name: str, meaning: str, *, labels: str = "") -> Histogram:
        return self.histogram(f"{name}_seconds", meaning, labels=labels, buckets=LATENCY_BUCKETS_S)


class ShadowMetrics:
    """Shadow metrics: the shadow model against the active one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        self.answers = new.counter(
            "shadow_answers", "Answers while there is a shadow.", labels="outcome"
        )
        self.overlap = new.histogram(
            "shadow_overlap",
            "Share of an answer's sales that the shadow shows too.",
            buckets=SHARE_BUCKETS,
        )
        self.probability = new.histogram(
            "shadow_probability",
            "Purchase probabilities shown, by champion and shadow.",
            labels="role",
            buckets=PROBABILITY_BUCKETS,
        )


class ExplorationMetrics:
    """Exploration metrics: answers that it changed, and its price in expected outcomes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        self.answers = new.counter("explored_answers", "Answers that exploration changed.")
        self.outcomes = new.counter(
            "exploration_outcomes",
            "Purchases, or clicks of a bundle that learned these, that explored answers are "
            "expected to bring less, or more.",
            labels="outcome",
        )

    def record(self, cost: float) -> None:
        """Count an explored answer, and the outcomes that it is expected to lose."""
        self.answers.inc()
        # Counters never fall, and an explored slate may be the better one.
        self.outcomes.labels("lost" if cost >= 0 else "gained").inc(abs(cost))


class RuleMetrics:
    """Rule metrics: answers whose rules were priced, what each costs, and what shares got."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        self.priced = new.counter(
            "priced_answers", "Answers that a rule was priced in.", labels="rule"
        )
        self.outcomes = new.counter(
            "rule_outcomes",
            "Purchases, or clicks of a bundle that learned these, that priced answers are expected "
            "to bring less, or more, by a rule.",
            labels="rule outcome",
        )
        self.impressions = new.counter(
            "share_impressions",
            "Impressions in which a rule that guarantees a share held: of its sales, and others.",
            labels="rule sales",
        )

    def record(self, rule: str, lost: float) -> None:
        """Count an answer that a rule was priced in, and the outcomes that it loses."""
        self.priced.labels(rule).inc()
        self.outcomes.labels(rule, "lost" if lost >= 0 else "gained").inc(abs(lost))

    def record_share(self, rule: str, *, n_own: int, n_all: int) -> None:
        """Count the impressions of an answer, and those of a rule's own sales."""
        self.impressions.labels(rule, "own").inc(n_own)
        self.impressions.labels(rule, "other").inc(n_all - n_own)


class DriftMetrics:
    """Drift metrics: features and scores of answers, and those of training."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        self.scored = new.counter(
            "scored_candidates", "Candidates by band of scores.", labels="bundle band"
        )
        # Shares of training are the same in all workers: their sum would be wrong.
        self.trained_shares = new.gauge(
            "trained_score_share",
            "Share of a band in training.",
            labels="bundle band",
            mode="mostrecent",
        )
        self.missing = new.counter(
            "missing_values",
            "Candidates without a value of a feature.",
            labels="bundle feature",
        )
        self.trained_missing = new.gauge(
            "trained_missing_share",
            "Share of candidates without a value in training.",
            labels="bundle feature",
            mode="mostrecent",
        )


class AdmissionMetrics:
    """Requests that wait, are worked on, and are cut short."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        # `live`: a worker that died has no requests, while its counters go on counting.
        waiting, working = "Requests that wait for their turn.", "Requests that are worked on."
        self.waiting = new.gauge("waiting_requests", waiting, labels="lane", mode="livesum")
        self.in_flight = new.gauge("in_flight_requests", working, labels="lane", mode="livesum")
        self.shed = new.counter(
            "shed_requests", "Requests that were cut short under load.", labels="lane outcome"
        )


class HealthMetrics:
    """Health metrics: parts that answers lack, faults of the store and of background tasks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        # One worker that lacks something is enough for an alert.
        self.in_full = new.gauge("answers_in_full", "Whether answers lack nothing.", mode="livemin")
        self.ready = new.gauge("ready", "Whether workers are ready.", mode="livemin")
        self.missing = new.gauge(
            "missing", "Whether full answers lack a part.", labels="part", mode="livemax"
        )
        self.unreadable = new.gauge(
            "unreadable_records",
            "Stored sales and pictures that cannot be read.",
            labels="kind",
            mode="livemax",
        )
        self.lost = new.gauge(
            "lost_entries",
            "What the store had no room for: entries of full streams, and counts of events.",
            labels="stream",
            mode="mostrecent",
        )
        self.write_refusals = new.counter(
            "write_refusals", "Refused writes of the probe.", labels="reason"
        )
        self.spans = new.counter("spans", "Spans of traces.", labels="outcome")
        self.clock_skew = new.gauge(
            "store_clock_skew_seconds",
            "How far the store's clock is ahead of this machine's.",
            mode="mostrecent",
        )
        self.task_restarts = new.counter(
            "task_restarts", "Errors of background tasks.", labels="task"
        )
        self.task_outages = new.counter(
            "task_outages",
            "Rounds of background tasks that an outage ended.",
            labels="task lost",
        )


class StoreMetrics:
    """The store's answers and memory, and what waits for it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        new = _Factory(registry)
        self.round_trip = new.gauge(
            "store_round_trip_seconds", "Time of one command of the store.", mode="mostrecent"
        )
        self.memory = new.gauge(
            "store_memory_bytes", "Memory of the store.", labels="kind", mode="mostrecent"
        )
        self.exposures = new.gauge(
            "exposure_queue_bytes", "Exposure records that wait for the store.", mode="livesum"
        )


class BuildMetrics:
    """What runs: a constant whose labels are joined to others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        build = "The version of the service and of Python; always 1."
        new = _Factory(registry)
        self.info = new.gauge("build_info", build, labels="version python", mode="livemax")
        self.info.labels(__version__, python_version()).set(1)


class Metrics:
    """Every metric of the service; docs/metrics.md lists the same, with their meaning."""

    def __init__(self) -> None:
        new = _Factory(CollectorRegistry())
        counter, timed = new.counter, new.seconds
        request = "Time from a request's head to the end of its answer."
        answer = "Time from a question to its answer, by the variants that decided it."
        self.registry = new.registry
        self.requests = timed("request", request, labels="route status variant bundle degraded")
        self.answers = timed("answer", answer, labels="experiment variant degraded")
        self.callers_refused = counter(
            "refused_callers", "Callers refused before the application.", labels="code"
        )
        self.refused = counter(
            "refused_requests", "Requests that no key opened.", labels="code key"
        )
        self.events = counter("events", "Posted events.", labels="status reason")
        self.unknown_sales = counter(
            "unknown_sale_events", "Accepted events of sales that the catalogue does not know."
        )
        self.unknown_markets = counter(
            "unknown_markets", "Recommendations asked for a market that no sale names."
        )
        self.model_errors = counter("model_errors", "Rankings without model.", labels="error")
        self.pictures = counter("pictures", "Uploaded pictures.", labels="outcome")
        self.labelling = timed("labelling", "Time to decode and label an uploaded picture.")
        self.explanations = counter("explanations", "Answers to explain.", labels="outcome")
        self.slow = counter("slow_requests", "Requests that took too long.", labels="route")
        self.exposures_dropped = counter("exposures_dropped", "Exposure records not logged.")
        self.refreshes_failed = counter("refreshes_failed", "Failed reads of the catalogue.")
        self.bundles = counter("bundles", "Bundles that were to be loaded.", labels="outcome")
        self.promotions = counter("promotion_steps", "Steps of promotions.", labels="stage")
        self.files_not_kept = counter(
            "files_not_kept", "Files that were not written.", labels="kind"
        )
        self.shadow = ShadowMetrics(new.registry)
        self.drift = DriftMetrics(new.registry)
        self.exploration = ExplorationMetrics(new.registry)
        self.rules = RuleMetrics(new.registry)
        self.admission = AdmissionMetrics(new.registry)
        self.health = HealthMetrics(new.registry)
        self.store = StoreMetrics(new.registry)
        self.build = BuildMetrics(new.registry)

    def exposition(self, shared_dir: str | None) -> bytes:
        """Render all metrics as Prometheus reads them.

        Args:
            shared_dir: Where the workers of this machine keep their values, which are then
                summed; None for the values of this process.
        """
        processes = CollectorRegistry()
        if shared_dir is None:
            processes.register(Processes([os.getpid()]))
            return generate_latest(self.registry) + generate_latest(processes)
        summed = CollectorRegistry()
        MultiProcessCollector(summed, shared_dir)
        processes.register(Processes(live_workers(shared_dir)))
        return generate_latest(summed) + generate_latest(processes)


def _without_terminal_copy(
    _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Remove the copy of a message with terminal colours, which Uvicorn adds."""
    line.pop("color_message", None)
    return line


_SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

# One list for the whole process: loggers keep the list that they were first used with, so that
# a second `configure_logging` with a list of its own would leave them behind.
_PROCESSORS: list[structlog.typing.Processor] = [
    *_SHARED_PROCESSORS,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def configure_logging(level: str) -> None:
    """Write JSON lines to stderr: our own, those of the libraries, and warnings of Python."""
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED_PROCESSORS,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_terminal_copy,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    # A log level of `error` must not silence the audit, nor an access log that was asked for.
    for name in (ACCESS_LOGGER, AUDIT_LOGGER):
        logging.getLogger(name).setLevel(logging.INFO)


def audit_log() -> structlog.stdlib.BoundLogger:
    """Return the logger of changes, each with the id of the key."""
    return get_logger(AUDIT_LOGGER)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    return structlog.stdlib.get_logger(name)
