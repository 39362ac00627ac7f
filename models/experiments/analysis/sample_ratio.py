"""Sample ratio mismatch: always-valid test of observed units against the assigned shares."""

import math
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

# Usual in the field (Fabijan et al. 2019): one false alarm in two thousand experiments.
ALARM: Final = 5e-4
"""Alarm threshold of the p-value."""

# Prior units of two mixtures, which are averaged: few for gross errors, many for small losses.
# Computed: an alarm comes after 17 units if all of one half are lost, and in the median at 1,900
# if a fifth of it is, at 92,000 if 3% are. One mixture of 2 prior units needs 114,000 for the last,
# one of 1,000 over 100 for the first (2026-11-30).
_CONCENTRATIONS: Final = (2.0, 1_000.0)


class Mismatch(BaseModel):
    """Sample ratio test: observed against assigned units; with an alarm, results are not valid."""

    model_config = ConfigDict(frozen=True)

    observed: dict[str, int]
    expected: dict[str, float]
    chi_square: float
    p_value: float = Field(description="Valid at every look, exactly.")
    alarm: bool


def sample_ratio(counts: Mapping[str, int], shares_bp: Mapping[str, int]) -> Mismatch:
    """Compare the units of each variant with its share, as often as one likes.

    The p-value is one over the likelihood ratio of Dirichlet mixtures around the shares against the
    shares, at most 1. Over all looks together it is below a level with at most that
    probability, however few the units are.

    Args:
        counts: Units of each variant; one that is absent has none.
        shares_bp: Share of each variant in basis points, positive.

    Source:
        Lindon and Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022; the
        alarm is that of Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled
        Experiments, KDD 2019.
    """
    observed = {name: counts.get(name, 0) for name in shares_bp}
    n, whole = sum(observed.values()), sum(shares_bp.values())
    expected = {name: n * share / whole for name, share in shares_bp.items()}
    p = _always_valid_p(observed, {name: share / whole for name, share in shares_bp.items()})
    return Mismatch(
        observed=observed,
        expected=expected,
        chi_square=sum((observed[name] - e) ** 2 / e for name, e in expected.items()) if n else 0.0,
        p_value=p,
        alarm=p < ALARM,
    )


def _always_valid_p(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    logs = [_log_likelihood_ratio(counts, shares, concentration=one) for one in _CONCENTRATIONS]
    largest = max(logs)
    mean = sum(math.exp(one - largest) for one in logs) / len(logs)
    return math.exp(min(0.0, -largest - math.log(mean)))


def _log_likelihood_ratio(
    counts: Mapping[str, int], shares: Mapping[str, float], *, concentration: float
) -> float:
    found = math.lgamma(concentration) - math.lgamma(concentration + sum(counts.values()))
    for name, share in shares.items():
        prior = concentration * share
        found += math.lgamma(prior + counts[name]) - math.lgamma(prior)
        found -= counts[name] * math.log(share)
    return found
