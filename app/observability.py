"""Metrics, and JSON log lines with a request id and without customer ids."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

LATENCY_BUCKETS_S: Final = (
    *(0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
"""A quarter of a millisecond to five seconds: a full answer takes a few milliseconds."""


AUDIT_LOGGER: Final = "vitrine.audit"

SHARE_BUCKETS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

PROBABILITY_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class ShadowMetrics:
    """Shadow metrics: the shadow model against the active one.

    Attributes:
        answers: Answers while there is a shadow, by outcome.
        overlap: Share of an answer's sales that the shadow shows too.
        probability: Purchase probabilities shown, by champion and shadow.
    """

    answers: Counter
    overlap: Histogram
    probability: Histogram

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""
        return cls(
            answers=Counter(
                "vitrine_shadow_answers",
                "Answers while there is a shadow.",
                ["outcome"],
                registry=registry,
            ),
            overlap=Histogram(
                "vitrine_shadow_overlap",
                "Share of an answer's sales that the shadow shows too.",
                buckets=SHARE_BUCKETS,
                registry=registry,
            ),
            probability=Histogram(
                "vitrine_shadow_probability",
                "Purchase probabilities shown, by champion and shadow.",
                ["role"],
                buckets=PROBABILITY_BUCKETS,
                registry=registry,
            ),
        )


@dataclass(frozen=True, slots=True)
class DriftMetrics:
    """Drift metrics: features and scores of answers, and those of training.

    Attributes:
        scored: Candidates of the answers that were counted, by bundle and band of scores.
        trained_shares: Share of each band in training.
        missing: Candidates of the same answers without a value, by bundle and feature.
        trained_missing: Share of them in training.
    """

    scored: Counter
    trained_shares: Gauge
    missing: Counter
    trained_missing: Gauge

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""
        return cls(
            scored=Counter(
                "vitrine_scored_candidates",
                "Candidates by band of scores.",
                ["bundle", "band"],
                registry=registry,
            ),
            trained_shares=_trained(
                registry, "score_share", meaning="Share of a band in training.", label="band"
            ),
            missing=Counter(
                "vitrine_missing_values",
                "Candidates without a value of a feature.",
                ["bundle", "feature"],
                registry=registry,
            ),
            trained_missing=_trained(
                registry,
                "missing_share",
                meaning="Share of candidates without a value in training.",
                label="feature",
            ),
        )


@dataclass(frozen=True, slots=True)
class AdmissionMetrics:
    """Requests that wait, are worked on, and are cut short.

    Attributes:
        waiting: Requests that wait for their turn, by lane.
        in_flight: Requests that are worked on, by lane.
        shed: Requests that were cut short, by lane and by how they were answered.
    """

    waiting: Gauge
    in_flight: Gauge
    shed: Counter

    @classmethod
    def create(cls, registry: CollectorRegistry) -> Self:
        """Register them."""

        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(
                f"vitrine_{name}_requests",
                meaning,
                ["lane"],
                registry=registry,
                multiprocess_mode="livesum",
            )

        return cls(
            waiting=gauge("waiting", "Requests that wait for their turn."),
            in_flight=gauge("in_flight", "Requests that are worked on."),
            shed=Counter(
                "vitrine_shed_requests",
                "Requests that were cut short under load.",
                ["lane", "outcome"],
                registry=registry,
            ),
        )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every metric of the service; docs/metrics.md lists the same.

    Attributes:
        registry: Where they are registered.
        requests: Seconds per request, by route, status, variants, bundle and rung.
        answers: Seconds per answer, by experiment, variant and rung.
        callers_refused: Callers refused before the application, by code of the problem.
        refused: Requests that no key opened, by code of the problem and id of the key.
        events: Posted events, by status and reason.
        unknown_sales: Accepted events of sales that the catalogue does not know.
        unknown_markets: Recommendations asked for a market that no sale names.
        model_errors: Rankings that the model failed to make, by class of the error.
        pictures: Uploaded pictures, by what became of them.
        labelling: Seconds per labelled picture, waiting for a thread included.
        explanations: Answers that were to be explained, by what became of it.
        slow: Requests that took longer than the settings allow, by route.
        exposures_dropped: Exposure records that were not logged.
        refreshes_failed: Failed reads of the catalogue from the store.
        lost: What the store had no room for, by stream, and `counts`.
        write_refusals: Times that the store took no writes, by reason.
        in_full: Whether answers are full, 1 or 0; the least of the workers.
        missing: What full answers lack, 1 or 0, by part; the most of the workers.
        bundles: Bundles that were to be loaded, by what became of them.
        shadow: The shadow beside the model that answers.
        drift: Features and scores of answers beside those of training.
        promotions: Steps of promotions, by the stage that they lead to.
        task_restarts: Errors of background tasks, each of which starts it again, by task.
        task_outages: Rounds of background tasks that an outage ended, by task and what was lost.
        files_not_kept: Files that the state directory did not take, by kind.
        clock_skew: How far the store's clock is ahead of this machine's, in seconds.
        admission: Requests that wait, and that are cut short under load.
    """

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
    lost: Gauge
    write_refusals: Counter
    in_full: Gauge
    missing: Gauge
    bundles: Counter
    shadow: ShadowMetrics
    drift: DriftMetrics
    promotions: Counter
    task_restarts: Counter
    task_outages: Counter
    files_not_kept: Counter
    clock_skew: Gauge
    admission: AdmissionMetrics

    @classmethod
    def create(cls) -> Self:
        """Register every metric anew."""
        registry = CollectorRegistry()
        counter = partial(_counter, registry)
        return cls(
            registry=registry,
            requests=_requests(registry),
            answers=_answers(registry),
            callers_refused=counter(
                "refused_callers", "Callers refused before the application.", "code"
            ),
            refused=counter("refused_requests", "Requests that no key opened.", "code", "key"),
            events=counter("events", "Posted events.", "status", "reason"),
            unknown_sales=counter(
                "unknown_sale_events", "Accepted events of sales that the catalogue does not know."
            ),
            unknown_markets=counter(
                "unknown_markets", "Recommendations asked for a market that no sale names."
            ),
            model_errors=counter("model_errors", "Rankings that the model did not make.", "error"),
            pictures=counter("pictures", "Uploaded pictures.", "outcome"),
            labelling=_labelling(registry),
            explanations=counter("explanations", "Answers that were to be explained.", "outcome"),
            slow=counter("slow_requests", "Requests that took too long.", "route"),
            exposures_dropped=counter("exposures_dropped", "Exposure records not logged."),
            refreshes_failed=counter("refreshes_failed", "Failed reads of the catalogue."),
            lost=_lost(registry),
            write_refusals=counter("write_refusals", "Refused writes of the probe.", "reason"),
            in_full=_in_full(registry),
            missing=_missing(registry),
            bundles=counter("bundles", "Bundles that were to be loaded.", "outcome"),
            shadow=ShadowMetrics.create(registry),
            drift=DriftMetrics.create(registry),
            promotions=counter("promotion_steps", "Steps of promotions.", "stage"),
            task_restarts=counter("task_restarts", "Errors of background tasks.", "task"),
            task_outages=counter(
                "task_outages", "Rounds of background tasks that an outage ended.", "task", "lost"
            ),
            clock_skew=_clock_skew(registry),
            files_not_kept=counter("files_not_kept", "Files that were not written.", "kind"),
            admission=AdmissionMetrics.create(registry),
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


def _counter(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"vitrine_{name}", meaning, labels, registry=registry)


def _seconds(
    registry: CollectorRegistry, name: str, *, meaning: str, labels: Sequence[str]
) -> Histogram:
    name, buckets = f"vitrine_{name}_seconds", LATENCY_BUCKETS_S
    return Histogram(name, meaning, labels, buckets=buckets, registry=registry)


def _requests(registry: CollectorRegistry) -> Histogram:
    meaning = "Time from a request's head to the end of its answer."
    labels = ("route", "status", "variant", "bundle", "rung")
    return _seconds(registry, "request", meaning=meaning, labels=labels)


def _answers(registry: CollectorRegistry) -> Histogram:
    meaning = "Time from a question to its answer, by the variants that decided it."
    labels = ("experiment", "variant", "rung")
    return _seconds(registry, "answer", meaning=meaning, labels=labels)


def _labelling(registry: CollectorRegistry) -> Histogram:
    meaning = "Time to decode and label an uploaded picture."
    return _seconds(registry, "labelling", meaning=meaning, labels=())


def _trained(registry: CollectorRegistry, name: str, *, meaning: str, label: str) -> Gauge:
    # All workers have the same value for a bundle: the sum would be wrong.
    return Gauge(
        f"vitrine_trained_{name}",
        meaning,
        ["bundle", label],
        registry=registry,
        multiprocess_mode="mostrecent",
    )


def _clock_skew(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "vitrine_store_clock_skew_seconds",
        "How far the store's clock is ahead of this machine's.",
        registry=registry,
        multiprocess_mode="mostrecent",
    )


def _in_full(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "vitrine_answers_in_full",
        "Whether answers lack nothing.",
        registry=registry,
        multiprocess_mode="livemin",
    )


def _missing(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "vitrine_missing",
        "Whether full answers lack a part.",
        ["part"],
        registry=registry,
        multiprocess_mode="livemax",
    )


def _lost(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "vitrine_lost_entries",
        "What the store had no room for: entries of full streams, and counts of events.",
        ["stream"],
        registry=registry,
        multiprocess_mode="mostrecent",
    )


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
