"""Means and ratios of variants, with intervals and an adjustment by a covariate.

Columns of a metric's `Moments` are the numerator, the denominator and the covariate of each
unit. A mean per unit is the ratio with denominators of 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.experiments.analysis.interval import Interval
from models.experiments.analysis.moments import Moments

# Significance level: 95% intervals are usual in the field.
LEVEL: Final = 0.05

# The normal's 97.5% quantile.
WIDTH: Final = 1.959963984540054
"""Standard errors on each side of a 95% interval."""

# Columns of the moments of a metric.
NUMERATOR: Final = 0
DENOMINATOR: Final = 1
COVARIATE: Final = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimate of a variant's mean or ratio.

    Attributes:
        value: The estimate, NaN without data.
        variance: Variance of the estimate, NaN for fewer than two units.
    """

    value: float
    variance: float

    def interval(self, width: float = WIDTH) -> Interval:
        """Return the value with ``width`` standard errors on each side."""
        half = width * math.sqrt(self.variance)
        return Interval.from_numbers(self.value, self.value - half, self.value + half)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """CUPED adjustment by a covariate from before the first exposure.

    Attributes:
        theta: Regression coefficient of the outcome on the covariate.
        centre: Mean of the covariate over all variants.
        reduction: Share of the variance that it explains, in ``[0, 1]``.
    """

    theta: float = 0.0
    centre: float = 0.0
    reduction: float = 0.0


UNADJUSTED: Final = Adjustment()


def adjustment(arms: Sequence[Moments]) -> Adjustment:
    """Estimate the CUPED adjustment, pooled over all variants.

    ``theta = S_xc / S_cc`` of the sums of products of deviations from each variant's own means,
    so that effects of variants are not absorbed; the explained share is
    ``S_xc^2 / (S_xx S_cc)``, the squared correlation. A covariate without variance gives 0.

    Args:
        arms: Moments of each variant.

    Source:
        Deng, Xu, Kohavi and Walker, Improving the Sensitivity of Online Controlled
        Experiments by Utilizing Pre-Experiment Data, WSDM 2013.
    """
    # Within variants, so that an effect of a variant is not taken for one of the covariate.
    scatter = np.sum([arm.scatter() for arm in arms], axis=0)
    across = float(scatter[NUMERATOR, COVARIATE])
    outcome = float(scatter[NUMERATOR, NUMERATOR])
    covariate = float(scatter[COVARIATE, COVARIATE])
    if covariate <= 0 or outcome <= 0:
        return UNADJUSTED
    n = sum(arm.n for arm in arms)
    centre = float(sum(arm.sums[COVARIATE] for arm in arms)) / n
    return Adjustment(across / covariate, centre, across**2 / (outcome * covariate))


def estimate(arm: Moments, adjusted: Adjustment = UNADJUSTED) -> Estimate:
    """Estimate a variant's ratio of means, with the delta method.

    ``r = mean(x) / mean(y)``, whose variance is that of ``(x - r y) / mean(y)``, divided by the
    number of units; with a covariate ``r - theta (mean(c) - centre)``. The error of
    the centre is neglected: it is equal for all variants and cancels in differences.

    Args:
        arm: Moments of the numerator, denominator and covariate per unit.
        adjusted: CUPED adjustment; only for denominators of 1.

    Returns:
        The estimate; NaN without units or with denominators of 0.

    Source:
        Deng, Knoblich and Lu, Applying the Delta Method in Metric Analytics, KDD 2018.
    """
    means = arm.means
    per = float(means[DENOMINATOR])
    if not per > 0:
        return Estimate(math.nan, math.nan)
    ratio = float(arm.sums[NUMERATOR] / arm.sums[DENOMINATOR])
    weights = np.array([1.0, -ratio, -adjusted.theta * per]) / per
    variance = float(weights @ arm.covariance() @ weights) / arm.n
    moved = adjusted.theta * (float(means[COVARIATE]) - adjusted.centre)
    # By rounding the variance may be just below 0, which has no square root.
    return Estimate(ratio - moved, max(variance, 0.0))
