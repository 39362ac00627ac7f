"""Sample ratio mismatch: test of observed units against the assigned shares."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from models.experiments.analysis.distribution import chi_square_tail

# Usual in the field (Fabijan et al. 2019): one false alarm in two thousand experiments.
ALARM: Final = 5e-4
"""Alarm threshold of the p-value."""


class Mismatch(BaseModel):
    """Sample ratio test: observed against assigned units; with an alarm, results are not valid."""

    model_config = ConfigDict(frozen=True)

    observed: dict[str, int]
    expected: dict[str, float]
    chi_square: float
    p_value: float
    alarm: bool


def sample_ratio(counts: Mapping[str, int], shares_bp: Mapping[str, int]) -> Mismatch:
    """Compare the units of each variant with its share by a chi-square test.

    Args:
        counts: Units of each variant; one that is absent has none.
        shares_bp: Share of each variant in basis points, positive.

    Source:
        Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled Experiments,
        KDD 2019.
    """
    observed = {name: counts.get(name, 0) for name in shares_bp}
    n, whole = sum(observed.values()), sum(shares_bp.values())
    expected = {name: n * share / whole for name, share in shares_bp.items()}
    chi_square = sum((observed[name] - e) ** 2 / e for name, e in expected.items()) if n else 0.0
    degrees = len(shares_bp) - 1
    p = chi_square_tail(chi_square, degrees) if degrees else 1.0
    return Mismatch(
        observed=observed, expected=expected, chi_square=chi_square, p_value=p, alarm=p < ALARM
    )
