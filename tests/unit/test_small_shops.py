"""Small shops that judge the ranker: their sizes, cuts of real sets, and means over shops."""

import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.quality.shop_logs import N_JUDGED, SETTLED, SHOPS
from benchmarks.quality.small_shops import CUTS, cut_to, pooled
from models.dataset.reading import read_dataset
from models.domain.event import PURCHASE, to_us


@pytest.mark.parametrize("name", SHOPS)
def test_a_shop_has_as_many_purchases_before_its_split_and_some_after(
    name: str, tmp_path: Path
) -> None:
    """Purchases of the day before the split are not settled."""
    log = SHOPS[name](20, np.random.default_rng(1))
    log.write(tmp_path)

    dataset = read_dataset(tmp_path, strict=True)

    bought_us = np.sort(dataset.events.at_us[dataset.events.kinds == PURCHASE])
    settled_us = to_us(log.until - SETTLED)
    assert np.sum(bought_us <= settled_us) == 20
    assert np.sum(bought_us > settled_us) >= N_JUDGED


def test_another_seed_is_another_shop() -> None:
    one, same, other = (SHOPS["grocer"](5, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert one.events == same.events
    assert one.events != other.events


def test_a_cut_keeps_customers_until_enough_purchases_precede_the_split(tmp_path: Path) -> None:
    """Of customers with two purchases each and one with ninety, who has more than a tenth."""
    until = CUTS["online_retail"].until
    small = [(f"c{n}", day) for n in range(40) for day in (1, 2)]
    bought = [("large", 3)] * 90 + small
    rows = [
        {
            "event_id": str(n),
            "customer_id": customer,
            "sale_id": f"s{n % 7}",
            "type": "purchase",
            "at": until - timedelta(days=day),
        }
        for n, (customer, day) in enumerate(bought)
    ]
    whole = tmp_path / "whole"
    whole.mkdir()
    pl.DataFrame(rows).write_parquet(whole / "events.parquet")
    sales = [{"sale_id": f"s{n}", "opens_at": CUTS["online_retail"].since} for n in range(8)]
    pl.DataFrame(sales).write_parquet(whole / "sales.parquet")

    cut_to(whole, tmp_path / "cut", name="online_retail", n_purchases=49, seed=0)

    events = pl.read_parquet(tmp_path / "cut" / "events.parquet")
    assert events.height == 50
    assert "large" not in events["customer_id"]
    assert pl.read_parquet(tmp_path / "cut" / "sales.parquet").height == 7


def test_shops_are_pooled_in_pairs_with_students_interval() -> None:
    """Differences of 0.1 and 0.3: mean 0.2, deviation sqrt(0.02), t of one degree 12.7062."""
    table = pooled([{"meta": 0.5, "rule": 0.6, "rare": 1.0}, {"meta": 0.1, "rule": 0.4}])

    assert list(table) == ["rule", "meta"]
    half = 12.7062 * math.sqrt(0.02) / math.sqrt(2)
    assert table["rule"] == pytest.approx((0.5, 0.2, half), rel=1e-5)
    assert table["meta"] == pytest.approx((0.3, 0.0, 0.0))


def test_one_shop_has_no_interval() -> None:
    assert math.isnan(pooled([{"meta": 0.5}])["meta"][2])
