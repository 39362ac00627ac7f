"""Purchases of a customer by sale, counted by hand."""

import numpy as np
import pytest

from models.domain.purchase_history import BOUGHT_SALES, PurchaseHistory

DAY_US = 86_400_000_000


def history(*purchases: tuple[int, float]) -> PurchaseHistory:
    """The history of purchases, each a sale's key and a day."""
    keys = np.array([key for key, _ in purchases], dtype=np.uint64)
    at_us = np.array([round(day * DAY_US) for _, day in purchases], dtype=np.int64)
    return PurchaseHistory.from_purchases(keys, at_us)


def rows(found: PurchaseHistory) -> list[tuple[int, ...]]:
    columns = (found.sale_keys, found.first_days, found.last_days, found.n_days)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_purchases_of_a_sale_on_one_day_are_one() -> None:
    found = history((7, 20.9), (7, 20.1), (9, 3.0), (7, 30.5), (7, 21.0))

    assert rows(found) == [(7, 20, 30, 3), (9, 3, 3, 1)]


def test_the_sales_that_were_bought_last_are_kept() -> None:
    found = history(*((key, key % 300) for key in range(300)))

    assert found.sale_keys.tolist() == list(range(300 - BOUGHT_SALES, 300))


@pytest.mark.parametrize("bought", [(), ((7, 1.0),), ((2**64 - 1, 3.0), (7, 65_535.0), (7, 1.0))])
def test_packing_and_unpacking_round_trips(bought: tuple[tuple[int, float], ...]) -> None:
    found = history(*bought)

    packed = found.pack()

    assert len(packed) == 14 * len(found.sale_keys)
    assert PurchaseHistory.n_packed(packed) == len(found.sale_keys)
    assert rows(PurchaseHistory.unpack(packed)) == rows(found)


def test_half_an_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 14"):
        PurchaseHistory.unpack(bytes(20))


def test_purchases_of_more_sales_than_are_kept_are_refused() -> None:
    """The kernel has room for as many; a profile with more is damaged."""
    with pytest.raises(ValueError, match="packed purchases of 257 sales, more than 256"):
        PurchaseHistory.unpack(bytes(257 * 14))
