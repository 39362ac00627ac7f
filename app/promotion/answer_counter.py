"""Answer counter: counts of a worker for the running promotion, flushed to the store."""

import threading
from collections import Counter
from collections.abc import Mapping
from secrets import token_hex
from typing import Final

from app.stores.promotion import CountBatch
from models.experiments.exposure_record import ExposureRecord
from models.experiments.plan.experiment import INTERLEAVED
from models.promotion.count import ArmCounts, ShadowCounts
from models.promotion.promotion import Promotion

FAULTS: Final = frozenset({"rival_not_ranked", "bundle_not_loaded"})
"""Causes by which a candidate is to blame for a slate that it does not share: not a store that
failed, or a machine without time, which meet every bundle."""


class AnswerCounter:
    """Counts answers of experiments on the event loop, and of a shadow in the shadow's thread."""

    def __init__(self) -> None:
        """Count nothing before there is a promotion."""
        self._promotion: Promotion | None = None
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def follow(self, promotion: Promotion | None) -> None:
        """Count for this promotion from now on, and drop counts of another one."""
        running = None if promotion is None or promotion.is_over else promotion
        with self._lock:
            before = self._promotion
            if running is None or before is None or before.number != running.number:
                self._counts.clear()
            self._promotion = running

    def record(self, record: ExposureRecord) -> None:
        """Count an answer of the promotion's experiments, under its variant.

        Of slates to be shared, those count as degraded that the candidate is to blame for.
        """
        # Read once, without the lock: another promotion may begin while this answer is counted.
        promotion = self._promotion
        if promotion is None:
            return
        for one in record.assignments:
            if one.experiment in promotion.experiments and not one.is_forced:
                is_degraded = record.degraded is not None
                if one.variant == INTERLEAVED:
                    is_degraded = record.interleaving is None and record.cause in FAULTS
                counts = ArmCounts.one(took_us=record.took_us, is_degraded=is_degraded)
                self._add(counts.named(one.variant))

    def record_shadow(self, bundle_id: str, counts: ShadowCounts) -> None:
        """Count a ranking of the shadow, if the shadow is the candidate."""
        promotion = self._promotion
        if promotion is not None and promotion.candidate == bundle_id:
            self._add(counts.named())

    def take(self, worker: str) -> CountBatch | None:
        """Return what was counted since the last call, None for nothing."""
        with self._lock:
            if self._promotion is None or not self._counts:
                return None
            counts = dict(self._counts)
            self._counts.clear()
            return CountBatch(self._promotion.number, counts, worker, batch_id=token_hex(8))

    def _add(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            self._counts.update(counts)
