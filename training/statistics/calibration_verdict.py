"""Verdict on probabilities: whether slope and error are as wanted, by their intervals."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from training.statistics.bootstrap import Interval

# The aim of the product, as the report says it.
_SLOPES: Final = (0.95, 1.05)
_MOST_ERROR: Final = 0.10  # of the base rate

# Of 60 simulated shops with right probabilities each, the error of 17% seemed too large with 25
# outcomes, of 8% with 60 and of 5% with 180 (2026-11-30).
_MIN_OUTCOMES: Final = 100

WANTED: Final = "slope between 0.95 and 1.05, calibration error at most 10% of the base rate"


class CalibrationVerdict(StrEnum):
    """Result of comparing calibration figures with what is wanted."""

    AS_WANTED = "as_wanted"
    TOO_CLOSE = "too_close"
    TOO_FAR = "too_far"
    OFF = "off"
    TOO_FEW = "too_few_to_tell"


def calibration_verdict(figures: Mapping[str, Interval]) -> CalibrationVerdict:
    """Say whether probabilities are as wanted; only what intervals exclude is called wrong.

    Noise raises a calibration error, and a resample's once more: the lower end of its interval is
    twice the value less the upper end, the basic bootstrap.

    Args:
        figures: Of `training.statistics.reliability.Reliability`.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2, for the
        basic interval.
    """
    slope, error = figures.get("slope"), figures.get("calibration_error_share")
    # Resamples of one customer all agree, up to rounding, which is no certainty.
    if slope is None or error is None or math.isclose(slope.low, slope.high, rel_tol=1e-6):
        return CalibrationVerdict.TOO_FEW
    least, most = _SLOPES
    if slope.low > most:
        return CalibrationVerdict.TOO_CLOSE
    if slope.high < least:
        return CalibrationVerdict.TOO_FAR
    if 2 * error.value - error.high > _MOST_ERROR and _n_outcomes(figures) >= _MIN_OUTCOMES:
        return CalibrationVerdict.OFF
    if least <= slope.low and slope.high <= most and error.value <= _MOST_ERROR:
        return CalibrationVerdict.AS_WANTED
    return CalibrationVerdict.TOO_FEW


def _n_outcomes(figures: Mapping[str, Interval]) -> int:
    rate = figures["base_rate"]
    return round(rate.value * rate.n)


def calibration_text(figures: Mapping[str, Interval], *, outcomes: str) -> str:
    """Say in words whether probabilities are as wanted, what it means and what to do.

    Args:
        figures: Of `training.statistics.reliability.Reliability`.
        outcomes: Name of the outcomes, such as "purchases".
    """
    verdict = calibration_verdict(figures)
    text = _SENTENCES[verdict].format(n=_n_outcomes(figures), outcomes=outcomes)
    text += f" ({_values(figures)}; wanted: {WANTED})."
    if verdict in _WRONG:
        text += (
            " The order by probability does not depend on it; expected purchases and revenue,"
            f" orders by value and prices of rules do: {_what_to_do(verdict, figures)}."
        )
    return text


def _what_to_do(verdict: CalibrationVerdict, figures: Mapping[str, Interval]) -> str:
    level = figures.get("predicted_over_observed")
    if verdict is CalibrationVerdict.OFF and level and not level.low <= 1 <= level.high:
        return "train again up to now, as their level follows the latest outcomes"
    return "train on more data"


_WRONG: Final = (
    CalibrationVerdict.TOO_CLOSE,
    CalibrationVerdict.TOO_FAR,
    CalibrationVerdict.OFF,
)
_SENTENCES: Final[Mapping[CalibrationVerdict, str]] = {
    CalibrationVerdict.AS_WANTED: "Probabilities are as wanted",
    CalibrationVerdict.TOO_CLOSE: (
        "Probabilities are too close to each other: high ones are too low, and low ones too high"
    ),
    CalibrationVerdict.TOO_FAR: (
        "Probabilities are too far from each other: high ones are too high, and low ones too low"
    ),
    CalibrationVerdict.OFF: "Probabilities are off by more than wanted",
    CalibrationVerdict.TOO_FEW: (
        "{n:,} {outcomes} are too few to tell whether probabilities are as wanted"
    ),
}


def _values(figures: Mapping[str, Interval]) -> str:
    found: list[str] = []
    if slope := figures.get("slope"):
        found.append(f"slope {slope.value:.3g} [{slope.low:.3g}, {slope.high:.3g}]")
    if error := figures.get("calibration_error_share"):
        found.append(f"error {error.value:.0%} of the base rate")
    if level := figures.get("predicted_over_observed"):
        ratio = f"{level.value:.2f} [{level.low:.2f}, {level.high:.2f}]"
        found.append(f"{ratio} predicted for each that happened")
    return ", ".join(found) or "without figures"
