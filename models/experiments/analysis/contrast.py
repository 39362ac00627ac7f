"""Score test of a variant against the control, and intervals by its inversion.

The variance is that of the hypothesis that is tested, pooled over both sides. A variance from each
side's own outcomes fails for rare ones: the side that saw few purchases by chance also seems to be
the more certain (decision 0044).

Source:
    Miettinen and Nurminen, Comparative Analysis of Two Rates, Statistics in Medicine 1985; closed
    forms of the restricted estimates: Farrington and Manning, Statistics in Medicine 1990.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from models.experiments.analysis.distribution import two_sided_tail
from models.experiments.analysis.estimate import (
    DENOMINATOR,
    NUMERATOR,
    UNADJUSTED,
    WIDTH,
    Adjustment,
    estimate,
)
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.moments import Moments

# Chosen: far below what is shown of any interval.
_PRECISION: Final = 1e-10
# Far above the rounding of sums over millions of units, far below any difference that matters.
_ROUNDING: Final = 1e-12
# Chosen: the search takes about ten steps; the bound is for values that are no numbers.
_MOST_STEPS: Final = 100
# Chosen: a lift of a millionfold is not distinguished from an infinite one.
_LARGEST_LOG_RATIO: Final = math.log(1e6)
# Chosen: the search for an end begins with a tenth more or less.
_LOG_STEP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Contrast:
    """A variant against the control by one metric.

    The variance of a ratio is assumed to grow with it: as ``r (1 - r)`` for shares, else as ``r``,
    times a dispersion that is estimated from both sides together.

    Attributes:
        own: Ratio of the variant, adjusted, in its range; NaN without data.
        control: Ratio of the control, adjusted, in its range; NaN without data.
        own_size: What the variance of the variant's ratio is divided by: ``n mean(y)^2`` of the
            denominators ``y``, so the number of units where these are 1.
        control_size: The same of the control.
        dispersion: Variance of a unit in units of ``r (1 - r)`` or ``r``; NaN without data.
        is_share: Whether the ratio is a share, at most 1.
        has_base: Whether the control's ratio is above 0 beyond chance, so that it may be divided
            by (Fieller's condition), before and after the adjustment: from 4 buyers on.
        n_units: Units of both sides.
        n_events: Effective number of events of both sides, see `effective_events`.
        n_events_expected: Those expected on the smaller side.
    """

    own: float
    control: float
    own_size: float
    control_size: float
    dispersion: float
    is_share: bool
    has_base: bool
    n_units: int
    n_events: float
    n_events_expected: float

    @classmethod
    def from_moments(
        cls,
        own: Moments,
        control: Moments,
        *,
        is_share: bool = False,
        adjusted: Adjustment = UNADJUSTED,
    ) -> Self:
        """Compare two samples.

        Args:
            own: Moments of the variant: numerator, denominator and covariate of each unit.
            control: Moments of the control.
            is_share: Whether the ratio is a share, at most 1.
            adjusted: CUPED adjustment; only for denominators of 1.
        """
        both = own + control
        events = effective_events(both)
        most = 1.0 if is_share else math.inf
        # An adjusted ratio may lie just outside its range.
        treated, base = (
            min(max(estimate(one, adjusted).value, 0.0), most) for one in (own, control)
        )
        bases = estimate(control), estimate(control, adjusted)
        return cls(
            own=treated,
            control=base,
            own_size=own.n * float(own.means[DENOMINATOR]) ** 2,
            control_size=control.n * float(control.means[DENOMINATOR]) ** 2,
            dispersion=_dispersion(both, is_share=is_share) * max(1 - adjusted.reduction, 0.0),
            is_share=is_share,
            has_base=all(one.interval().sign > 0 for one in bases),
            n_units=both.n,
            n_events=events,
            n_events_expected=events * min(own.n, control.n) / max(both.n, 1),
        )

    def z_score(self) -> float:
        """Return the score of no difference, in standard errors; NaN if nothing is known."""
        return self._score_of_difference(0.0) if self._is_known() else math.nan

    def p_value(self) -> float:
        """Return the two-sided p-value of no difference."""
        return two_sided_tail(self.z_score())

    def difference(self, *, width: float = WIDTH) -> Interval:
        """Return variant less control, with all differences that are not rejected.

        Args:
            width: Score up to which a difference is not rejected, in standard errors.
        """
        if not self._is_known():
            return Interval()
        found, most = self.own - self.control, 1.0 if self.is_share else math.inf
        error = math.sqrt(self.dispersion / min(self.own_size, self.control_size))
        step = max(width * error, _PRECISION)
        low, high = (
            _edge(self._score_of_difference, found, score=score, step=step, bound=bound)
            for score, bound in ((width, -most), (-width, most))
        )
        return Interval.from_numbers(found, low, high)

    def lift(self, *, width: float = WIDTH) -> Interval:
        """Return ``variant / control - 1``, with all lifts that are not rejected.

        It excludes 0 exactly if no difference is rejected. Of a control that may be 0, see
        `has_base`, there is no value, and no upper end above 0.

        Args:
            width: Score up to which a lift is not rejected, in standard errors.
        """
        if not self._is_known() or self.own == self.control == 0:
            return Interval()
        last = _LARGEST_LOG_RATIO
        ratio = self.own / self.control if self.control > 0 else math.inf
        start = min(max(math.log(ratio) if ratio > 0 else -last, -last), last)
        low, high = (
            _edge(self._score_of_log_ratio, start, score=score, step=_LOG_STEP, bound=bound)
            for score, bound in ((width, -last), (-width, last))
        )
        is_open = high >= last or (high > 0 and not self.has_base)
        return Interval.from_numbers(
            ratio - 1 if self.has_base else math.nan,
            -1.0 if low <= -last else math.exp(low) - 1,
            math.inf if is_open else math.exp(high) - 1,
        )

    def _is_known(self) -> bool:
        return not math.isnan(self.dispersion + self.own + self.control)

    def _score_of_difference(self, apart: float) -> float:
        rate = self._rate_if_apart(apart)
        return self._score(self.own - self.control - apart, rate + apart, rate, factor=1.0)

    def _score_of_log_ratio(self, log: float) -> float:
        ratio = math.exp(log)
        rate = self._rate_if_times(ratio)
        return self._score(self.own - ratio * self.control, ratio * rate, rate, factor=ratio)

    def _score(self, beyond: float, own: float, control: float, *, factor: float) -> float:
        variance = self.dispersion * (
            self._spread(own) / self.own_size
            + factor**2 * self._spread(control) / self.control_size
        )
        if abs(beyond) <= _ROUNDING * (self.own + factor * self.control):
            return 0.0
        return beyond / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, beyond)

    def _spread(self, rate: float) -> float:
        return max(rate * (1 - rate) if self.is_share else rate, 0.0)

    def _sums(self) -> tuple[float, float]:
        return self.own * self.own_size, self.control * self.control_size

    def _rate_if_apart(self, apart: float) -> float:
        """Return the control's most likely rate if the variant's is that much higher."""
        own, control = self._sums()
        n, total = self.own_size + self.control_size, own + control
        if not self.is_share:
            # own / (r + d) + control / r = n
            half = (n * apart - total) / 2
            return (-half + math.sqrt(max(half**2 + n * control * apart, 0.0))) / n
        squared = (self.own_size + 2 * self.control_size) * apart - n - total
        linear = (self.control_size * apart - n - 2 * control) * apart + total
        constant = control * apart * (1 - apart)
        return _middle_root(n, squared, linear, constant)

    def _rate_if_times(self, ratio: float) -> float:
        """Return the control's most likely rate if the variant's is that many times as high."""
        own, control = self._sums()
        total = own + control
        if not self.is_share:
            return total / (self.own_size * ratio + self.control_size)
        n = self.own_size + self.control_size
        linear = self.own_size * ratio + own + self.control_size + control * ratio
        root = math.sqrt(max(linear**2 - 4 * n * ratio * total, 0.0))
        return 2 * total / (linear + root)


def _middle_root(cubic: float, squared: float, linear: float, constant: float) -> float:
    """Return the middle one of three real roots, by the cosine of a third of an angle."""
    third = squared / (3 * cubic)
    q = third**3 - linear * squared / (6 * cubic**2) + constant / (2 * cubic)
    p = math.copysign(math.sqrt(max(third**2 - linear / (3 * cubic), 0.0)), q)
    if p == 0:
        return -third
    angle = (math.pi + math.acos(min(max(q / p**3, -1.0), 1.0))) / 3
    return 2 * p * math.cos(angle) - third


def effective_events(sample: Moments) -> float:
    """Return ``(sum x)^2 / sum x^2``, the smaller one of numerator and denominator.

    The number of buyers for conversion; fewer where a few units make up most of a sum.
    """
    squares = np.diag(sample.products)
    return min(
        float(sample.sums[column]) ** 2 / float(squares[column]) if squares[column] > 0 else 0.0
        for column in (NUMERATOR, DENOMINATOR)
    )


def _dispersion(sample: Moments, *, is_share: bool) -> float:
    numerator, denominator = float(sample.sums[NUMERATOR]), float(sample.sums[DENOMINATOR])
    if sample.n <= 1 or denominator <= 0:
        return math.nan
    ratio = numerator / denominator
    spread = ratio * (1 - ratio) if is_share else ratio
    if spread <= 0:
        # Without any event a share's variance is that of independent chances.
        return denominator / sample.n if is_share else math.nan
    weights = np.array([1.0, -ratio, 0.0])
    residual = float(weights @ sample.products @ weights)
    # A difference of sums: where nothing varies only its rounding is left, of either sign.
    if residual <= _ROUNDING * float(sample.products[NUMERATOR, NUMERATOR]):
        return 0.0
    return residual / (sample.n - 1) / spread


def _edge(
    score_of: Callable[[float], float], start: float, *, score: float, step: float, bound: float
) -> float:
    """Return where a falling score reaches a value, between a start and a bound.

    Args:
        score_of: The score of a hypothesis.
        start: Hypothesis with a score of about 0.
        score: The value; positive below the start, negative above it.
        step: Distance at which the search begins; it is doubled until the value is passed.
        bound: Returned if the score does not reach the value before it; may be infinite.
    """
    side = math.copysign(1.0, bound)

    def left(hypothesis: float) -> float:
        return side * (score_of(hypothesis) - score)

    inside, outside = start, start + side * step
    while side * (outside - bound) < 0 and left(outside) > 0:
        inside, outside, step = outside, outside + side * step, 2 * step
    if side * (outside - bound) >= 0:
        outside = bound
        if left(bound) > 0:
            return bound
    return _root(left, inside, outside)


def _root(function: Callable[[float], float], inside: float, outside: float) -> float:
    """Return the root between a positive and a negative value, by the Illinois method."""
    at_inside, at_outside = function(inside), function(outside)
    was_inside: bool | None = None
    for _ in range(_MOST_STEPS):
        apart = outside - inside
        if abs(apart) <= _PRECISION * max(1.0, abs(outside)):
            break
        share = at_outside / (at_outside - at_inside) if math.isfinite(at_outside) else 0.5
        middle = outside - apart * share
        at_middle = function(middle)
        if abs(at_middle) <= _PRECISION:
            return middle
        # An end that stays twice counts half, or it would stay and the steps become small.
        if at_middle > 0:
            at_outside /= 1 + (was_inside is True)
            inside, at_inside, was_inside = middle, at_middle, True
        else:
            at_inside /= 1 + (was_inside is False)
            outside, at_outside, was_inside = middle, at_middle, False
    return outside
