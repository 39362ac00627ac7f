"""Sequential test: asymptotic confidence sequences, valid at every look.

The normal mixture of Robbins, as a limit for any outcome with a finite variance. The probability
that the sequence misses the truth at any look is at most `LEVEL`. At the planned size it is about
half as wide again as a fixed interval, and wider far from it.

Source:
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and
    asymptotic confidence sequences, Annals of Statistics 2024, theorem 2.2 and equation 25;
    the test is the mSPRT of Johari, Koomen, Pekelis and Walsh, Always Valid Inference,
    Operations Research 2022.
"""

import math
from typing import Final

from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.estimate import LEVEL

# The theory is asymptotic: looks begin with enough events, see `may_look`. Chosen by simulation of
# tests without an effect (decision 0044); 5 is the usual bound of a chi-square test, too.
MIN_EVENTS: Final = 25
MIN_EXPECTED: Final = 5
# Chosen: units of each side before the first look at what may have no event at all.
MIN_UNITS: Final = 100


def may_look(contrast: Contrast) -> bool:
    """Return whether there are enough events for a look, together and on the smaller side."""
    return contrast.n_events >= MIN_EVENTS and contrast.n_events_expected >= MIN_EXPECTED


def _tightness(planned_units: int) -> float:
    """Return the mixture's variance per unit that is tightest at the planned size."""
    twice = -2 * math.log(LEVEL)
    return (twice + math.log(twice) + 1) / planned_units


def sequential_width(n_units: int, *, planned_units: int) -> float:
    """Return the half-width in standard errors that is valid at every look.

    ``sqrt(2 (v + 1) / v * log(sqrt(v + 1) / LEVEL))`` with ``v = n_units * tightness``.

    Args:
        n_units: Units of both variants so far, positive.
        planned_units: Size at which it is tightest; chosen before the start, not from the
            data.
    """
    v = n_units * _tightness(planned_units)
    return math.sqrt(2 * (v + 1) / v * math.log(math.sqrt(v + 1) / LEVEL))


def always_valid_p(z: float, n_units: int, *, planned_units: int) -> float:
    """Return the p-value of one look; the minimum over all looks is valid.

    One over the mixture's likelihood ratio, ``sqrt(1 + v) exp(-z^2 v / (2 (1 + v)))``, at most
    1. It is `LEVEL` exactly where ``|z|`` is `sequential_width`.

    Args:
        z: The difference in standard errors; NaN gives 1.
        n_units: Units of both variants so far, positive.
        planned_units: As for `sequential_width`.
    """
    if math.isnan(z):
        return 1.0
    v = n_units * _tightness(planned_units)
    return min(1.0, math.sqrt(1 + v) * math.exp(-(z**2) * v / (2 * (1 + v))))
