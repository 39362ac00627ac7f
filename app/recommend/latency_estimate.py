"""What scoring takes on this machine: whether a model may still be asked before a deadline."""

from collections import defaultdict, deque
from typing import Final

REMEMBERED: Final = 5
"""One pause of the machine is not the model's pace: the quickest of so many is."""

ASKED_AGAIN: Final = 20
"""Of so many rankings that were too late for the model, one asks it all the same."""


class LatencyEstimate:
    """Remembers how long rankings took, by the power of two of their candidates.

    Scoring runs to its end once it has begun, so that a deadline can only keep it from
    beginning. Sizes that were not seen `REMEMBERED` times are always allowed.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._took_s: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._n_refused = 0

    def allows(self, n_candidates: int, within_s: float) -> bool:
        """Whether scoring so many candidates is likely to end in time."""
        took_s = self._took_s[n_candidates.bit_length()]
        if len(took_s) < REMEMBERED or min(took_s) <= within_s:
            return True
        self._n_refused += 1
        return self._n_refused % ASKED_AGAIN == 0

    def note(self, n_candidates: int, took_s: float) -> None:
        """Take note of how long a ranking took."""
        self._took_s[n_candidates.bit_length()].append(took_s)
