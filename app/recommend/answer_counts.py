"""Answers by experiment and variant, as metrics of bounded size."""

from typing import Final

from app.observability import Metrics
from app.promotion.promotion_tally import PromotionTally
from app.stores.exposure_record import ExposureRecord
from models.experiments.plan.plan import Assignment

MAX_VARIANTS: Final = 200
"""Names with series of their own: plans change, processes stay."""

OTHER: Final = "other"


class AnswerCounts:
    """Observes every answer under the variants that decided it, forced ones left out."""

    def __init__(self, metrics: Metrics, promotion: PromotionTally) -> None:
        """Begin without any variant; tell the promotion of every answer too."""
        self._metrics = metrics
        self._promotion = promotion
        self._names: set[str] = set()

    def note(self, record: ExposureRecord) -> None:
        """Take note of an answer."""
        self._promotion.note(record)
        seconds = record.took_us / 1e6
        for one in _dealt(record):
            is_known = self._is_known(f"{one.experiment}:{one.variant}")
            labels = (one.experiment, one.variant) if is_known else (OTHER, OTHER)
            self._metrics.answers.labels(*labels, record.degraded or "").observe(seconds)

    def note_unknown_market(self) -> None:
        """Take note of a question from a market that no sale names."""
        self._metrics.unknown_markets.inc()

    def label(self, record: ExposureRecord) -> str:
        """Name all variants that decided an answer, as ``experiment:variant``, with commas."""
        name = ",".join(f"{one.experiment}:{one.variant}" for one in _dealt(record))
        return name if not name or self._is_known(name) else OTHER

    def _is_known(self, name: str) -> bool:
        if name not in self._names and len(self._names) < MAX_VARIANTS:
            self._names.add(name)
        return name in self._names


def _dealt(record: ExposureRecord) -> list[Assignment]:
    return [one for one in record.assignments if not one.is_forced]
