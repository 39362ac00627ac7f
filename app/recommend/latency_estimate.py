"""Latency estimate: the time that scoring takes on this machine, to keep deadlines."""

from collections import defaultdict, deque
from typing import Final

REMEMBERED: Final = 5
"""The estimate is the quickest of the last five: a pause of the machine is no slow model."""

ASKED_AGAIN: Final = 20
"""Of 20 rankings that had no time for the model, one calls it all the same: without that, an
estimate that a slow moment left behind would never be corrected. Chosen, not measured."""


class LatencyEstimate:
    """Latency estimate of rankings, by the power of two of the number of candidates.

    Scoring cannot be interrupted: a deadline can only keep it from beginning. Sizes that were
    not measured `REMEMBERED` times are always allowed.
    """

    def __init__(self) -> None:
        """Begin without any measurement."""
        self._took_s: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._n_refused = 0

    def allows(self, n_candidates: int, within_s: float) -> bool:
        """Whether scoring so many candidates is likely to end in time."""
        took_s = self._took_s[n_candidates.bit_length()]
        if len(took_s) < REMEMBERED or min(took_s) <= within_s:
            return True
        self._n_refused += 1
        return self._n_refused % ASKED_AGAIN == 0

    def record(self, n_candidates: int, took_s: float) -> None:
        """Record how long a ranking took."""
        self._took_s[n_candidates.bit_length()].append(took_s)
