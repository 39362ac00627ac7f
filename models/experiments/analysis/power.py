"""Statistical power and sample size, before an experiment starts."""

import math
from collections.abc import Sequence
from typing import Final

from models.experiments.analysis.distribution import normal_quantile
from models.experiments.analysis.estimate import WIDTH

# 80% is usual in the field.
POWER: Final = 0.8


def standard_error(variance: float, n_units: int, *, shares: tuple[float, float]) -> float:
    """Return the standard error of the difference between two variants.

    ``sqrt(variance / n * (1 / share_t + 1 / share_c))``.

    Args:
        variance: Of the outcome between units, the same in both variants.
        n_units: Units of the whole experiment, positive.
        shares: Of the treatment and of the control, each in ``(0, 1]``.
    """
    treatment, control = shares
    return math.sqrt(variance / n_units * (1 / treatment + 1 / control))


def minimum_detectable_effect(error: float, *, width: float = WIDTH, power: float = POWER) -> float:
    """Return the smallest true difference that a test detects with a given power.

    Args:
        error: Standard error of the estimated difference.
        width: Half-width of the test's interval in standard errors.
        power: In ``(0, 1)``.

    Source:
        Kohavi, Tang and Xu, Trustworthy Online Controlled Experiments, 2020, chapter 17.
    """
    return (width + normal_quantile(power)) * error


def required_units(
    effect: float,
    variance: float,
    *,
    shares: tuple[float, float],
    width: float = WIDTH,
    power: float = POWER,
) -> int:
    """Return the number of units of the whole experiment that detect an effect.

    Args:
        effect: True difference, not 0.
        variance: As for `standard_error`.
        shares: As for `standard_error`.
        width: As for `minimum_detectable_effect`.
        power: In ``(0, 1)``.
    """
    of_one = standard_error(variance, 1, shares=shares)
    return math.ceil((minimum_detectable_effect(of_one, width=width, power=power) / effect) ** 2)


def minimum_days(units_by_day: Sequence[int], wanted: int) -> int | None:
    """Return the number of days until so many units were seen, None if never.

    Args:
        units_by_day: Distinct units seen until the end of each day, ascending.
        wanted: Required units.
    """
    return next((day for day, n in enumerate(units_by_day, start=1) if n >= wanted), None)
