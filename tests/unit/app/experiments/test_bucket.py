from hypothesis import given
from hypothesis import strategies as st

from app.experiments.bucket import BUCKETS, bucket


def test_bucket_is_pinned() -> None:
    """A changed hash would reshuffle live experiments, so its values are pinned."""
    assert [bucket(unit, "ranker-2025-01") for unit in "abc"] == [8464, 3915, 6884]


@given(st.text(), st.text())
def test_every_unit_has_a_bucket(unit_id: str, salt: str) -> None:
    assert 0 <= bucket(unit_id, salt) < BUCKETS


def test_salts_deal_independently() -> None:
    """Of 10,000 units about one in 100 keeps its hundredth under another salt."""
    units = [f"customer-{number}" for number in range(10_000)]

    kept = sum(bucket(unit, "first") // 100 == bucket(unit, "second") // 100 for unit in units)

    assert abs(kept - 100) < 5 * 10  # five standard errors of a binomial count of mean 100
