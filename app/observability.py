"""What operators see: metrics, and JSON log lines with a request id and no customer id."""

import logging
import sys
from dataclasses import dataclass
from typing import Final, Self

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

LATENCY_BUCKETS_S: Final = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
"""Half a millisecond to five seconds: a full answer takes a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every metric of the service; docs/metrics.md lists the same.

    Attributes:
        registry: Where they are registered.
        requests: Seconds per request, by route, status, variant and rung.
        events: Posted events, by status and reason.
        unknown_sales: Accepted events of sales that the catalogue does not know.
        model_errors: Rankings that the model failed to make, by class of the error.
        pictures: Uploaded pictures, by what became of them.
        labelling: Seconds per labelled picture, waiting for a thread included.
        exposures_dropped: Exposure records that were not logged.
        refreshes_failed: Failed reads of the catalogue from the store.
    """

    registry: CollectorRegistry
    requests: Histogram
    events: Counter
    unknown_sales: Counter
    model_errors: Counter
    pictures: Counter
    labelling: Histogram
    exposures_dropped: Counter
    refreshes_failed: Counter

    @classmethod
    def create(cls) -> Self:
        """Register every metric anew."""
        registry = CollectorRegistry()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"vitrine_{name}", meaning, labels, registry=registry)

        return cls(
            registry=registry,
            requests=Histogram(
                "vitrine_request_seconds",
                "Time from a request's head to the end of its answer.",
                ["route", "status", "variant", "rung"],
                buckets=LATENCY_BUCKETS_S,
                registry=registry,
            ),
            events=counter("events", "Posted events.", "status", "reason"),
            unknown_sales=counter(
                "unknown_sale_events", "Accepted events of sales that the catalogue does not know."
            ),
            model_errors=counter(
                "model_errors", "Rankings that the model failed to make.", "error"
            ),
            pictures=counter("pictures", "Uploaded pictures.", "outcome"),
            labelling=Histogram(
                "vitrine_labelling_seconds",
                "Time to decode and label an uploaded picture.",
                buckets=LATENCY_BUCKETS_S,
                registry=registry,
            ),
            exposures_dropped=counter(
                "exposures_dropped", "Exposure records that were not logged."
            ),
            refreshes_failed=counter(
                "refreshes_failed", "Failed reads of the catalogue from the store."
            ),
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


def configure_logging(level: str) -> None:
    """Write JSON lines to stderr: our own, and those of the libraries."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    return structlog.stdlib.get_logger(name)
