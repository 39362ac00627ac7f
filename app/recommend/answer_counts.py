"""Counts of answers by experiment and variant, as metrics of bounded size."""

from typing import Final

from app.observability import Metrics
from app.promotion.answer_counter import AnswerCounter
from models.experiments.exposure_record import ExposureRecord
from models.experiments.plan.plan import Assignment

# Names with series of their own: a process outlives many plans, and every name is a series. Chosen.
MAX_VARIANTS: Final = 200

OTHER: Final = "other"


class AnswerCounts:
    """Counts every answer under the variants that decided it, forced ones left out."""

    def __init__(self, metrics: Metrics, promotion: AnswerCounter) -> None:
        """Begin without any variant; every answer is counted for the promotion too."""
        self._metrics = metrics
        self._promotion = promotion
        self._names: set[str] = set()

    def record(self, record: ExposureRecord) -> None:
        """Count an answer."""
        self._promotion.record(record)
        seconds = record.took_us / 1e6
        for one in _assigned(record):
            is_known = self._is_known(f"{one.experiment}:{one.variant}")
            labels = (one.experiment, one.variant) if is_known else (OTHER, OTHER)
            self._metrics.answers.labels(*labels, record.degraded or "").observe(seconds)

    def record_unknown_market(self) -> None:
        """Count a request for a market that no sale names."""
        self._metrics.unknown_markets.inc()

    def label(self, record: ExposureRecord) -> str:
        """Name all variants that decided an answer, as ``experiment:variant``, with commas."""
        name = ",".join(f"{one.experiment}:{one.variant}" for one in _assigned(record))
        return name if not name or self._is_known(name) else OTHER

    def _is_known(self, name: str) -> bool:
        if name not in self._names and len(self._names) < MAX_VARIANTS:
            self._names.add(name)
        return name in self._names


def _assigned(record: ExposureRecord) -> list[Assignment]:
    return [one for one in record.assignments if not one.is_forced]
