"""Metrics, and JSON log lines with a request id and without customer ids."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# A full answer takes a few milliseconds, so most buckets are there; the last ones are outages.
LATENCY_BUCKETS_S: Final = (
    *(0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)

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


@dataclass(frozen=True, slots=True)
class ShadowMetrics:
    """Shadow metrics: the shadow model against the active one."""

    answers: Counter
    overlap: Histogram
    probability: Histogram

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""
        new = _Factory(registry)
        return cls(
            answers=new.counter(
                "shadow_answers", "Answers while there is a shadow.", labels="outcome"
            ),
            overlap=new.histogram(
                "shadow_overlap",
                "Share of an answer's sales that the shadow shows too.",
                buckets=SHARE_BUCKETS,
            ),
            probability=new.histogram(
                "shadow_probability",
                "Purchase probabilities shown, by champion and shadow.",
                labels="role",
                buckets=PROBABILITY_BUCKETS,
            ),
        )


@dataclass(frozen=True, slots=True)
class DriftMetrics:
    """Drift metrics: features and scores of answers, and those of training."""

    scored: Counter
    trained_shares: Gauge
    missing: Counter
    trained_missing: Gauge

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""
        new = _Factory(registry)
        # Shares of training are the same in all workers: their sum would be wrong.
        return cls(
            scored=new.counter(
                "scored_candidates", "Candidates by band of scores.", labels="bundle band"
            ),
            trained_shares=new.gauge(
                "trained_score_share",
                "Share of a band in training.",
                labels="bundle band",
                mode="mostrecent",
            ),
            missing=new.counter(
                "missing_values",
                "Candidates without a value of a feature.",
                labels="bundle feature",
            ),
            trained_missing=new.gauge(
                "trained_missing_share",
                "Share of candidates without a value in training.",
                labels="bundle feature",
                mode="mostrecent",
            ),
        )


@dataclass(frozen=True, slots=True)
class AdmissionMetrics:
    """Requests that wait, are worked on, and are cut short."""

    waiting: Gauge
    in_flight: Gauge
    shed: Counter

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""
        new = _Factory(registry)
        # `live`: a worker that died has no requests, while its counters go on counting.
        waiting, working = "Requests that wait for their turn.", "Requests that are worked on."
        return cls(
            waiting=new.gauge("waiting_requests", waiting, labels="lane", mode="livesum"),
            in_flight=new.gauge("in_flight_requests", working, labels="lane", mode="livesum"),
            shed=new.counter(
                "shed_requests", "Requests that were cut short under load.", labels="lane outcome"
            ),
        )


@dataclass(frozen=True, slots=True)
class HealthMetrics:
    """What answers lack, faults of the store, and of background tasks."""

    in_full: Gauge
    missing: Gauge
    lost: Gauge
    write_refusals: Counter
    clock_skew: Gauge
    task_restarts: Counter
    task_outages: Counter

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""
        new = _Factory(registry)
        return cls(
            # One worker that lacks something is enough for an alert.
            in_full=new.gauge("answers_in_full", "Whether answers lack nothing.", mode="livemin"),
            missing=new.gauge(
                "missing", "Whether full answers lack a part.", labels="part", mode="livemax"
            ),
            lost=new.gauge(
                "lost_entries",
                "What the store had no room for: entries of full streams, and counts of events.",
                labels="stream",
                mode="mostrecent",
            ),
            write_refusals=new.counter(
                "write_refusals", "Refused writes of the probe.", labels="reason"
            ),
            clock_skew=new.gauge(
                "store_clock_skew_seconds",
                "How far the store's clock is ahead of this machine's.",
                mode="mostrecent",
            ),
            task_restarts=new.counter(
                "task_restarts", "Errors of background tasks.", labels="task"
            ),
            task_outages=new.counter(
                "task_outages",
                "Rounds of background tasks that an outage ended.",
                labels="task lost",
            ),
        )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every metric of the service; docs/metrics.md lists the same, with their meaning."""

    registry: CollectorRegistry
    requests: Histogram
    answers: Histogram
    callers_refused: Counter
    refused: Counter
    events: Counter
    unknown_sales: Counter
    unknown_markets: Counter
    model_errors: Counter
    pictures: Counter
    labelling: Histogram
    explanations: Counter
    slow: Counter
    exposures_dropped: Counter
    refreshes_failed: Counter
    bundles: Counter
    promotions: Counter
    files_not_kept: Counter
    shadow: ShadowMetrics
    drift: DriftMetrics
    admission: AdmissionMetrics
    health: HealthMetrics

    @classmethod
    def create(cls) -> Self:
        """Register every metric anew."""
        new = _Factory(CollectorRegistry())
        counter = new.counter
        request = "Time from a request's head to the end of its answer."
        answer = "Time from a question to its answer, by the variants that decided it."
        return cls(
            registry=new.registry,
            requests=new.seconds("request", request, labels="route status variant bundle rung"),
            answers=new.seconds("answer", answer, labels="experiment variant rung"),
            callers_refused=counter(
                "refused_callers", "Callers refused before the application.", labels="code"
            ),
            refused=counter("refused_requests", "Requests that no key opened.", labels="code key"),
            events=counter("events", "Posted events.", labels="status reason"),
            unknown_sales=counter(
                "unknown_sale_events", "Accepted events of sales that the catalogue does not know."
            ),
            unknown_markets=counter(
                "unknown_markets", "Recommendations asked for a market that no sale names."
            ),
            model_errors=counter(
                "model_errors", "Rankings that the model did not make.", labels="error"
            ),
            pictures=counter("pictures", "Uploaded pictures.", labels="outcome"),
            labelling=new.seconds("labelling", "Time to decode and label an uploaded picture."),
            explanations=counter(
                "explanations", "Answers that were to be explained.", labels="outcome"
            ),
            slow=counter("slow_requests", "Requests that took too long.", labels="route"),
            exposures_dropped=counter("exposures_dropped", "Exposure records not logged."),
            refreshes_failed=counter("refreshes_failed", "Failed reads of the catalogue."),
            bundles=counter("bundles", "Bundles that were to be loaded.", labels="outcome"),
            promotions=counter("promotion_steps", "Steps of promotions.", labels="stage"),
            files_not_kept=counter("files_not_kept", "Files that were not written.", labels="kind"),
            shadow=ShadowMetrics.create(new.registry),
            drift=DriftMetrics.create(new.registry),
            admission=AdmissionMetrics.create(new.registry),
            health=HealthMetrics.create(new.registry),
        )

    def exposition(self, shared_dir: str | None) -> bytes:
        """Render all metrics as Prometheus reads them.

        Args:
            shared_dir: Where the workers of this machine keep their values, which are then
                summed; None for the values of this process.
        """
        if shared_dir is None:
            return generate_latest(self.registry)
        summed = CollectorRegistry()
        MultiProcessCollector(summed, shared_dir)
        return generate_latest(summed)


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
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    # A log level of `error` must not silence the audit.
    logging.getLogger(AUDIT_LOGGER).setLevel(logging.INFO)


def audit_log() -> structlog.stdlib.BoundLogger:
    """Return the logger of changes, each with the id of the key."""
    return get_logger(AUDIT_LOGGER)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    return structlog.stdlib.get_logger(name)
