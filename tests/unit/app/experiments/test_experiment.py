import math
from collections import Counter

import pytest
from pydantic import ValidationError

from app.experiments.bucket import BUCKETS
from app.experiments.experiment import Experiment, Policy, Variant, assign, split

UNITS = [f"customer-{number}" for number in range(20_000)]


def two_arms(salt: str, share_bp: int) -> Experiment:
    shares = [(Policy.POPULARITY, share_bp), (Policy.META, BUCKETS - share_bp)]
    return split("home", salt, shares_bp=shares)


@pytest.mark.parametrize("share_bp", [5_000, 1_000, 100])
def test_observed_shares_match_configured_shares(share_bp: int) -> None:
    """Observed shares lie within five standard errors of the configured ones."""
    experiment = two_arms("salt", share_bp)
    counts = Counter(assign(unit, experiment).policy for unit in UNITS)

    p = share_bp / BUCKETS
    standard_error = math.sqrt(p * (1 - p) / len(UNITS))
    assert abs(counts[Policy.POPULARITY] / len(UNITS) - p) < 5 * standard_error


def test_growing_the_first_share_moves_units_into_it_only() -> None:
    small, large = two_arms("salt", 1_000), two_arms("salt", 2_000)

    left = [
        unit
        for unit in UNITS
        if assign(unit, small).policy is Policy.POPULARITY
        and assign(unit, large).policy is not Policy.POPULARITY
    ]

    assert left == []


def test_the_variant_of_a_unit_is_the_one_whose_buckets_hold_it() -> None:
    """The pinned buckets of a, b and c are 8464, 3915 and 6884."""
    experiment = two_arms("ranker-2025-01", 3_916)

    assert [assign(unit, experiment).name for unit in "abc"] == ["meta", "popularity", "meta"]
    assert assign("b", two_arms("ranker-2025-01", 3_915)).name == "meta"


def test_a_share_of_zero_is_no_variant() -> None:
    experiment = split("home", "salt", shares_bp=[(Policy.META, BUCKETS), (Policy.POPULARITY, 0)])

    assert [variant.policy for variant in experiment.variants] == [Policy.META]


def test_shares_that_leave_buckets_empty_are_rejected() -> None:
    """Shares are never repaired: a wrong sum fails when the config loads."""
    with pytest.raises(ValidationError, match="must sum to 10000, got 4000"):
        split("home", "salt", shares_bp=[(Policy.META, 4_000)])


def test_two_variants_of_one_name_are_rejected() -> None:
    half = Variant(name="half", share_bp=5_000, policy=Policy.META)

    with pytest.raises(ValidationError, match="distinct names"):
        Experiment(name="home", salt="salt", variants=(half, half))
