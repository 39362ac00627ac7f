"""Latency estimate: the time that scoring takes on this machine, to keep deadlines."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import Final

REMEMBERED: Final = 5
"""The estimate is the quickest of the last five: a pause of the machine is no slow model."""

ASKED_AGAIN_S: Final = 1.0
"""A second after the last ranking by a model, one calls it even if it seems too slow: without
that, an estimate that a slow moment left behind would never be corrected. Counted in time, since
a candidate with 1% of the requests would wait for its correction a hundred times as long as the
bundle that it is compared with. Chosen, not measured."""

MAX_DOUBLINGS: Final = 5
"""Each time that a model is found too slow again, it is asked half as often, down to once in 32
seconds and in 32 rankings: the answer of such a call is late. Counted in rankings too, since a shop
with one a minute would get every answer late. A model that was slow for a while is asked again
after as long at the latest. Chosen, not measured."""


@dataclass(slots=True)
class _Latest:
    """The last rankings of one model and size.

    Attributes:
        took_s: Seconds that each took.
        asked_s: When the model was last called, by the clock of the estimate.
        n_spared: Rankings since then that did without it.
        doublings: How often in a row it was called though it seemed too slow.
    """

    took_s: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    asked_s: float = -inf
    n_spared: int = 0
    doublings: int = 0


class LatencyEstimate:
    """Latency estimate by bundle, and by the power of two of the number of candidates.

    Scoring cannot be interrupted: a deadline can only keep it from beginning. Sizes that a bundle
    did not rank `REMEMBERED` times are always allowed. A slow bundle does not speak for another.
    """

    def __init__(
        self, clock: Callable[[], float] = perf_counter, *, fewest_doublings: int = 0
    ) -> None:
        """Begin without any measurement.

        Args:
            clock: Counts seconds, from any beginning.
            fewest_doublings: With `MAX_DOUBLINGS`, a model that seems too slow is asked again as
                rarely as can be from the first time on.
        """
        self._clock = clock
        self._fewest_doublings = fewest_doublings
        self._latest: defaultdict[tuple[str, int], _Latest] = defaultdict(_Latest)

    def allows(self, bundle_id: str, n_candidates: int, *, within_s: float) -> bool:
        """Whether scoring so many candidates is likely to end in time."""
        latest = self._latest[bundle_id, n_candidates.bit_length()]
        if len(latest.took_s) < REMEMBERED or min(latest.took_s) <= within_s:
            latest.n_spared = latest.doublings = 0
            return True
        now_s, rarer = self._clock(), 2 ** max(latest.doublings, self._fewest_doublings)
        if now_s - latest.asked_s < rarer * ASKED_AGAIN_S or latest.n_spared < rarer - 1:
            latest.n_spared += 1
            return False
        latest.asked_s = now_s  # the call may fail, and is then not recorded
        latest.n_spared, latest.doublings = 0, min(latest.doublings + 1, MAX_DOUBLINGS)
        return True

    def record(self, bundle_id: str, n_candidates: int, *, took_s: float) -> None:
        """Record how long a ranking took."""
        latest = self._latest[bundle_id, n_candidates.bit_length()]
        latest.took_s.append(took_s)
        latest.asked_s = self._clock()
