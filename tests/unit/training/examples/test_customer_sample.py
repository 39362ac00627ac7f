"""A sample is the same customers each time, and has all of their slates."""

import math
from hashlib import blake2b

import numpy as np
import polars as pl
import pytest

from tests.unit.training.ranker.test_fit_ranker import slates_of
from training.examples.customer_sample import in_sample, sampled

IDS = pl.Series([f"c{number}" for number in range(20_000)])


@pytest.mark.parametrize("share", [0.5, 0.03])
def test_a_sample_has_its_share_of_the_customers(share: float) -> None:
    """Within five standard errors."""
    found = in_sample(IDS, share).mean()

    assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / len(IDS))


def test_a_customer_is_in_by_the_hash_of_their_id() -> None:
    """Another hash would change the bundle of a known sample."""
    hashes = [int.from_bytes(blake2b(one.encode(), digest_size=8).digest()) for one in IDS[:100]]

    assert in_sample(IDS[:100], 0.3).tolist() == [one / 2**64 <= 0.3 for one in hashes]
    assert in_sample(IDS, 1.0).all()


def test_a_sample_is_a_part_of_each_larger_one() -> None:
    assert not (in_sample(IDS, 0.1) & ~in_sample(IDS, 0.2)).any()


def test_a_sample_has_all_slates_of_its_customers_and_no_others() -> None:
    """Customers 0 to 9 have two slates each, ten apart."""
    slates = slates_of(np.zeros(100, dtype=np.bool_))
    slates.customers[:] = np.arange(20) % 10
    is_in = in_sample(IDS[:10], 0.5)

    found = sampled(slates, IDS[:10], share=0.5)

    assert 0 < is_in.sum() < 10
    expected = [slate for slate in range(20) if is_in[slate % 10]]
    np.testing.assert_array_equal(found.now_us, slates.now_us[expected])
