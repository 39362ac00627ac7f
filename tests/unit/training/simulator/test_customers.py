from dataclasses import replace

import numpy as np

from tests.unit.training.simulator.builder import END_US
from training.simulator.customers import Customers, Visits, draw_customers, draw_visits
from training.simulator.parameters import HOUR_US, WORLDS
from training.simulator.period import Period

PERIOD = Period.ending(END_US, 20)
PARAMETERS = replace(WORLDS["standard"], visits=12.0)


def _drawn(rng: np.random.Generator) -> tuple[Customers, Visits]:
    customers = draw_customers(PARAMETERS, PERIOD, n_customers=400, rng=rng)
    return customers, draw_visits(PARAMETERS, PERIOD, customers=customers, rng=rng)


def test_visits_of_a_customer_are_an_hour_apart(rng: np.random.Generator) -> None:
    _, visits = _drawn(rng)
    order = np.lexsort((visits.at_us, visits.customer))
    same = np.diff(visits.customer[order]) == 0

    assert np.diff(visits.at_us[order])[same].min() >= HOUR_US


def test_visits_lie_in_the_period_and_after_joining(rng: np.random.Generator) -> None:
    customers, visits = _drawn(rng)

    assert np.all(np.diff(visits.at_us) >= 0)
    assert visits.at_us.min() >= PERIOD.start_us
    assert visits.at_us.max() < PERIOD.end_us
    assert np.all(visits.at_us >= customers.joined_us[visits.customer])


def test_the_mean_number_of_visits_is_the_one_asked_for(rng: np.random.Generator) -> None:
    """Only visits pushed behind the end by the hour between two visits are lost."""
    _, visits = _drawn(rng)

    assert 0.97 * 4_800 < len(visits) <= 4_800


def test_next_visits_and_turns_are_those_of_a_plain_loop(rng: np.random.Generator) -> None:
    _, visits = _drawn(rng)
    last: dict[int, int] = {}
    turns: dict[tuple[int, int], int] = {}
    for row in range(len(visits)):
        customer, at_us = int(visits.customer[row]), int(visits.at_us[row])
        if customer in last:
            assert visits.next_us[last[customer]] == at_us
        last[customer] = row
        day = (customer, at_us // (24 * HOUR_US))
        assert visits.turn[row] == turns.get(day, 0)
        turns[day] = turns.get(day, 0) + 1
    assert np.all(visits.next_us[list(last.values())] == np.iinfo(np.int64).max)


def test_some_customers_are_new_and_most_are_rare(rng: np.random.Generator) -> None:
    customers, visits = _drawn(rng)
    counts = np.bincount(visits.customer, minlength=400)

    assert 0.2 < np.mean(customers.joined_us > PERIOD.start_us) < 0.4
    assert np.median(counts) < 0.8 * counts.mean()


def test_evenings_are_busier_than_nights(rng: np.random.Generator) -> None:
    _, visits = _drawn(rng)
    hours = visits.at_us // HOUR_US % 24

    assert np.sum(hours == 20) > 5 * np.sum(hours == 3)
