import numpy as np
import pytest

from tests.unit.training.simulator.builder import END_US
from training.simulator.destinations import RENDERED_SCENES, rendered_destinations
from training.simulator.parameters import DAY_US, WORLDS
from training.simulator.period import Period
from training.simulator.sales import Sales, draw_sales

PERIOD = Period.ending(END_US, 20)


@pytest.fixture
def sales(rng: np.random.Generator) -> Sales:
    return draw_sales(
        WORLDS["standard"],
        PERIOD,
        scenes=RENDERED_SCENES,
        destinations=rendered_destinations(),
        rng=rng,
    )


def test_sales_are_open_for_three_to_nine_days(sales: Sales) -> None:
    length_days = (sales.closes_us - sales.opens_us) / DAY_US

    assert length_days.min() >= 3
    assert length_days.max() <= 9


def test_some_sales_open_up_to_seven_days_after_the_period(sales: Sales) -> None:
    after_days = (sales.opens_us - PERIOD.end_us) / DAY_US

    assert 6 < after_days.max() <= 7


def test_sixty_to_a_hundred_sales_are_open_in_a_market(sales: Sales) -> None:
    open_now = (sales.opens_us <= PERIOD.end_us) & (PERIOD.end_us < sales.ends_us)

    per_market = sales.markets[open_now].sum(axis=0)
    assert per_market.min() >= 60
    assert per_market.max() <= 105


def test_every_sale_has_a_market_and_a_scene_of_its_destination(sales: Sales) -> None:
    places = rendered_destinations()

    assert sales.markets.any(axis=1).all()
    for place, scene in zip(sales.destination, sales.scene, strict=True):
        assert scene in places[int(place)].scenes


def test_prices_are_reduced_and_few_sales_sell_out_early(sales: Sales) -> None:
    assert np.all(sales.price < sales.original_price)
    assert np.all(sales.opens_us < sales.ends_us)
    assert 0.01 < np.mean(sales.ends_us < sales.closes_us) < 0.1
