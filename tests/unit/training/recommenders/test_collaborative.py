"""Factors with a known answer."""

import numpy as np

from models.domain.event import EventType
from tests.builders import query as ask
from tests.logs import Row, catalogue, event_table, sale
from training.recommenders.collaborative import fit_collaborative
from training.recommenders.interactions import Interactions

SHOP = catalogue(*(sale(f"s{index}", category="ab"[index % 2]) for index in range(20)))
BARE = catalogue(*(f"s{index}" for index in range(20)))


def crowd(rng: np.random.Generator) -> list[Row]:
    """Four hundred customers, each of one half of the shop; s0 and s1 have no event yet."""
    return [
        Row(customer=f"c{customer}", sale=f"s{2 * int(place) + customer % 2}")
        for customer in range(400)
        for place in rng.choice(np.arange(1, 10), size=4, replace=False)
    ]


def test_on_a_checkerboard_the_same_half_comes_first(rng: np.random.Generator) -> None:
    """Nothing but who touched what tells the halves apart."""
    fitted = fit_collaborative(Interactions.from_events(event_table(crowd(rng)), BARE))
    names = [f"s{index}" for index in range(4, 20)]

    scored = fitted.scores(ask(BARE, (EventType.CLICK, "s2", 0.0), candidates=names))[:, 0]

    even = np.array([int(name[1:]) % 2 == 0 for name in names])
    assert scored[even].min() > scored[~even].max()


def test_new_sales_have_the_factors_of_their_content(rng: np.random.Generator) -> None:
    fitted = fit_collaborative(Interactions.from_events(event_table(crowd(rng)), SHOP))

    asked = ask(SHOP, (EventType.CLICK, "s2", 0.0), candidates=["s0", "s1"])
    new_alike, new_other = fitted.scores(asked)[:, 0].tolist()

    assert new_alike > 0.05
    assert new_other < new_alike / 3


def test_the_same_log_gives_the_same_factors_bit_for_bit(rng: np.random.Generator) -> None:
    known = Interactions.from_events(event_table(crowd(rng)), SHOP)

    first, second = (fit_collaborative(known).to_arrays() for _ in range(2))

    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_of_few_customers_no_factors_are_made() -> None:
    log = event_table([Row(sale="s1"), Row(sale="s2")])

    assert fit_collaborative(Interactions.from_events(log, SHOP)).gramian.shape == (0, 0)
