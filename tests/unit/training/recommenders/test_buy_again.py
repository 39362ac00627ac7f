"""Rates of repeat purchases, counted by hand, and recommenders without data."""

import numpy as np
import pytest

from models.domain.event import key
from models.recommenders.registry import RECOMMENDERS
from tests.logs import DAY, Row, catalogue, event_table
from training.examples.refit import fit_recommenders
from training.recommenders.buy_again import fit_buy_again
from training.recommenders.interactions import Interactions
from training.recommenders.left_out import without_data

SHOP = catalogue("milk", "soap", "new")


def interactions(*log: Row) -> Interactions:
    return Interactions.from_events(event_table(log), SHOP)


def bought(sale: str, *days: int, customer: str = "c1") -> list[Row]:
    return [Row(kind="purchase", sale=sale, customer=customer, at=day * DAY) for day in days]


def test_rates_and_intervals_are_those_of_buyers_of_a_sale() -> None:
    """Two buyers of milk waited 40 and 30 days for 3 and 0 more, one of soap 40 for none."""
    log = [
        *bought("milk", 0, 10, 20, 20, 30),
        *bought("milk", 10, customer="c2"),
        *bought("soap", 0),
        Row(sale="new", at=40 * DAY),
    ]

    found = fit_buy_again(interactions(*log))

    shop_rate = (3 + 1) / (40 + 30 + 40 + 365)
    shop_interval = (30 + 1 / shop_rate) / (3 + 1)
    places = {int(one): place for place, one in enumerate(found.keys)}
    milk, soap = places[key("milk")], places[key("soap")]
    assert len(places) == 2
    assert (found.shop_rate, found.shop_interval) == pytest.approx((shop_rate, shop_interval))
    assert found.rates[milk] == pytest.approx((3 + 2) / (70 + 2 / shop_rate))
    assert found.rates[soap] == pytest.approx(2 / (40 + 2 / shop_rate))
    assert found.intervals[milk] == pytest.approx((30 + 2 * shop_interval) / (3 + 2))
    assert found.intervals[soap] == pytest.approx(shop_interval)


def test_no_purchases_give_positive_rates_of_the_shop() -> None:
    found = fit_buy_again(interactions(Row()))

    assert len(found.keys) == 0
    assert min(found.shop_rate, found.shop_interval, found.shape) > 0


def test_recommenders_without_data_are_named() -> None:
    """Sales without content, and customers with one sale each: only rates can be said."""
    log = [row for name in ("a", "b") for row in bought("milk", 0, customer=name)]
    known = interactions(*log)

    found = without_data(fit_recommenders(known), known)

    assert set(RECOMMENDERS) - set(found) == {"popularity", "audience"}
    assert found["buy_again"] == ("0 repeat purchases of a sale on another day, 10 are needed")


def test_ten_repeat_purchases_are_data() -> None:
    known = interactions(*bought("milk", *range(11)))

    assert "buy_again" not in without_data(fit_recommenders(known), known)
    chosen = fit_recommenders(known, ("buy_again", "popularity"))
    assert [one.name for one in chosen] == ["popularity", "buy_again"]
    assert np.isfinite(chosen[1].to_arrays()["rates"]).all()
