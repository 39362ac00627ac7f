"""What a worker counts for the promotion that runs, until it tells the store."""

import threading
from collections import Counter
from collections.abc import Mapping

from models.experiments.exposure_record import ExposureRecord
from models.promotion.count import ArmCounts, ShadowCounts
from models.promotion.promotion import Promotion


class PromotionTally:
    """Counts what concerns one promotion, from the loop and from the shadow's thread."""

    def __init__(self) -> None:
        """Count nothing before there is a promotion."""
        self._promotion: Promotion | None = None
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def follow(self, promotion: Promotion | None) -> None:
        """Count for this promotion from now on; what was counted for another one is void."""
        running = None if promotion is None or promotion.is_over else promotion
        with self._lock:
            if running is None or self._number != running.number:
                self._counts.clear()
            self._promotion = running

    def note(self, record: ExposureRecord) -> None:
        """Count an answer of the canary, on its side."""
        promotion = self._promotion
        if promotion is None:
            return
        for one in record.assignments:
            if one.experiment == promotion.experiment and not one.is_forced:
                is_degraded = record.degraded is not None
                counts = ArmCounts.one(took_us=record.took_us, is_degraded=is_degraded)
                self._add(counts.named(one.variant))

    def compare(self, bundle_id: str, counts: ShadowCounts) -> None:
        """Count what a shadow did, if it is the candidate."""
        promotion = self._promotion
        if promotion is not None and promotion.candidate == bundle_id:
            self._add(counts.named())

    def take(self) -> tuple[int, dict[str, int]] | None:
        """Return the number of the promotion and what is not told yet; None for nothing."""
        with self._lock:
            number, counts = self._number, dict(self._counts)
            self._counts.clear()
        return (number, counts) if number is not None and counts else None

    @property
    def _number(self) -> int | None:
        return self._promotion.number if self._promotion else None

    def _add(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            self._counts.update(counts)
