"""Promises of the simulated log, in all three worlds."""

import numpy as np
from numpy.typing import NDArray

from tests.unit.training.simulator.builder import SimulatedWorld
from training.simulator.parameters import DAY_US
from training.simulator.simulation import (
    CART,
    CLICK,
    IMPRESSION,
    KINDS,
    PURCHASE,
    VIEW,
    Events,
    World,
)


def _of(events: Events, kind: str) -> Events:
    chosen = events.kind == KINDS.index(kind)
    return Events(**{name: column[chosen] for name, column in vars(events).items()})


def _keys(events: Events) -> NDArray[np.int64]:
    return events.visit * 1_000_000 + events.sale


def test_what_is_knowable_lies_between_popularity_and_truth(simulated: SimulatedWorld) -> None:
    oracles = simulated.history.oracles

    assert oracles["random"] < oracles["popularity"]
    assert oracles["popularity"] < oracles["knowable"]
    assert oracles["knowable"] < oracles["truth"]


def test_knowable_is_calibrated(simulated: SimulatedWorld) -> None:
    """A posterior mean equals the mean truth in every bin of itself.

    The entries of one customer depend on each other, so errors are summed per customer first.
    """
    truth = simulated.history.truth
    customer = simulated.world.visits.customer[truth.visit]
    error = truth.truth.astype(np.float64) - truth.knowable
    edges = np.quantile(truth.knowable, [0.2, 0.4, 0.6, 0.8, 0.95])
    bins = np.digitize(truth.knowable, edges)
    for number in range(6):
        sums = np.bincount(customer, weights=error * (bins == number))
        standard_error = np.sqrt(len(sums)) * sums.std()
        assert abs(sums.sum()) < 4 * standard_error


def test_knowable_is_bayes_rule_over_the_logged_events(simulated: SimulatedWorld) -> None:
    """Recomputed for single customers from their events alone, one event at a time."""
    world, truth = simulated.world, simulated.history.truth
    busiest = np.argsort(-np.bincount(world.visits.customer))[[0, 40, 160]]
    for customer in busiest:
        states = np.full(len(world.tastes.weights), 1.0 / len(world.tastes.weights))
        for visit in np.flatnonzero(world.visits.customer == customer):
            states = (states.reshape(-1, world.tastes.n_regimes) @ world.tastes.transition).ravel()
            click, buy = _probabilities(world, int(world.visits.at_us[visit]))
            listed = truth.visit == visit
            on_sale = truth.sale[listed]
            mine = {kind: _of_visit(simulated, int(visit), kind) for kind in KINDS}
            for sale in mine[VIEW].sale:
                states *= click[:, sale] / click[:, on_sale].sum(axis=1)
            states /= states.sum()
            expected = states @ (click * buy)[:, on_sale]
            np.testing.assert_allclose(truth.knowable[listed], expected, rtol=2e-3)
            for sale, position in zip(
                mine[IMPRESSION].sale, mine[IMPRESSION].position, strict=True
            ):
                c, b = click[:, sale] * position**-0.5, buy[:, sale]
                if sale in mine[PURCHASE].sale:
                    states *= c * b
                elif sale in mine[CART].sale:
                    states *= c * (b**0.6 - b)
                else:
                    states *= c * (1 - b**0.6) if sale in mine[CLICK].sale else 1 - c


def _probabilities(world: World, at_us: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return P(click | examined) and P(purchase | click) of all sales, zero where not on sale."""
    market = world.features.market(world.parameters, world.tastes, day_us=at_us // DAY_US * DAY_US)
    click = np.zeros((len(world.tastes.weights), len(world.sales)))
    buy = np.zeros_like(click)
    click[:, market.rows], buy[:, market.rows] = market.click, market.buy
    return click, buy


def _of_visit(simulated: SimulatedWorld, visit: int, kind: str) -> Events:
    events = simulated.history.events
    chosen = (events.visit == visit) & (events.kind == KINDS.index(kind))
    return Events(**{name: column[chosen] for name, column in vars(events).items()})


def test_knowable_uses_the_events_of_earlier_visits(simulated: SimulatedWorld) -> None:
    """Later visits are known better: the squared error falls with the number of visits."""
    truth, visits = simulated.history.truth, simulated.world.visits
    order = np.lexsort((visits.at_us, visits.customer))
    first = np.zeros(len(visits), dtype=bool)
    first[order[np.flatnonzero(np.diff(visits.customer[order], prepend=-1))]] = True
    tenth = np.zeros(len(visits), dtype=bool)
    tenth[order[9:][visits.customer[order[9:]] == visits.customer[order[:-9]]]] = True

    def unexplained(chosen: NDArray[np.bool_]) -> float:
        part = chosen[truth.visit]
        error = truth.truth[part] - truth.knowable[part]
        return float(np.mean(error**2) / truth.truth[part].var())

    assert unexplained(tenth) < 0.95 * unexplained(first)


def test_purchases_happen_as_often_as_the_truth_says(simulated: SimulatedWorld) -> None:
    """On uniform slates, purchases are Bernoulli draws with probability rank**-0.5 * truth."""
    history = simulated.history
    shown = _of(history.events, IMPRESSION)
    keys = history.truth.visit * 1_000_000 + history.truth.sale
    order = np.argsort(keys)
    truth = history.truth.truth[order][np.searchsorted(keys[order], _keys(shown))]
    probability = truth * shown.position**-0.5
    bought = np.isin(_keys(shown), _keys(_of(history.events, PURCHASE)))
    halves = np.digitize(truth, [np.median(truth)])
    for half in (0, 1):
        part = history.uniform[shown.visit] & (halves == half)
        p = probability[part].astype(np.float64)
        assert abs(bought[part].sum() - p.sum()) < 4.5 * np.sqrt((p * (1 - p)).sum()) + 1
    p = probability.astype(np.float64)
    assert abs(bought.sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())


def test_clicks_fall_as_rank_to_minus_one_half(simulated: SimulatedWorld) -> None:
    """On uniform slates, clicks of a rank are in proportion to impressions * rank**-0.5."""
    history = simulated.history
    shown, clicks = _of(history.events, IMPRESSION), _of(history.events, CLICK)
    uniform = history.uniform
    n_shown = np.bincount(shown.position[uniform[shown.visit]], minlength=11)[1:]
    n_clicks = np.bincount(clicks.position[uniform[clicks.visit]], minlength=11)[1:]
    weight = n_shown * np.arange(1, 11) ** -0.5
    expected = n_clicks.sum() * weight / weight.sum()

    assert n_clicks.sum() > 300
    chi_square = ((n_clicks - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # the 99.9th percentile with 9 degrees of freedom


def test_every_click_has_an_earlier_impression(simulated: SimulatedWorld) -> None:
    _each_follows(simulated, CLICK, IMPRESSION)


def test_every_cart_has_an_earlier_click(simulated: SimulatedWorld) -> None:
    _each_follows(simulated, CART, CLICK)


def test_every_purchase_has_an_earlier_click(simulated: SimulatedWorld) -> None:
    _each_follows(simulated, PURCHASE, CLICK)


def _each_follows(simulated: SimulatedWorld, kind: str, cause: str) -> None:
    effects, causes = _of(simulated.history.events, kind), _of(simulated.history.events, cause)
    order = np.argsort(_keys(causes))
    place = np.searchsorted(_keys(causes)[order], _keys(effects))
    before = order[np.minimum(place, len(order) - 1)]

    assert len(effects.kind) > 0
    assert np.array_equal(_keys(causes)[before], _keys(effects))
    assert np.array_equal(causes.position[before], effects.position)
    assert np.all(causes.at_us[before] < effects.at_us)


def test_no_event_touches_a_sale_that_is_not_on_sale_in_its_market(
    simulated: SimulatedWorld,
) -> None:
    world, events = simulated.world, simulated.history.events
    market = world.customers.market[world.visits.customer[events.visit]]

    assert np.all(world.sales.opens_us[events.sale] <= events.at_us)
    assert np.all(events.at_us < world.sales.ends_us[events.sale])
    assert np.all(world.sales.markets[events.sale, market])


def test_truth_lists_exactly_the_sales_on_sale(simulated: SimulatedWorld) -> None:
    """Recomputed for single visits by a plain loop over sales."""
    world, truth = simulated.world, simulated.history.truth
    sales = world.sales
    for visit in range(0, len(world.visits), 97):
        at_us = world.visits.at_us[visit]
        market = world.customers.market[world.visits.customer[visit]]
        expected = [
            sale
            for sale in range(len(sales))
            if sales.opens_us[sale] <= at_us < sales.ends_us[sale] and sales.markets[sale, market]
        ]
        assert truth.sale[truth.visit == visit].tolist() == expected


def test_views_come_just_before_the_home_page(simulated: SimulatedWorld) -> None:
    views = _of(simulated.history.events, VIEW)
    lead_us = simulated.world.visits.at_us[views.visit] - views.at_us

    assert len(lead_us) > 0
    assert lead_us.min() >= 0
    assert lead_us.max() <= 120_000_000


def test_late_events_are_known_before_the_customer_comes_back(simulated: SimulatedWorld) -> None:
    events, visits = simulated.history.events, simulated.world.visits
    delay_us = events.received_us - events.at_us
    late = np.mean(delay_us > 60_000_000)

    assert delay_us.min() == 0
    assert 0.005 < late < 0.04
    assert np.all(events.received_us < visits.next_us[events.visit])


def test_propensities_are_positive_and_uniform_slates_have_uniform_ones(
    simulated: SimulatedWorld,
) -> None:
    history = simulated.history
    shown = _of(history.events, IMPRESSION)
    n_eligible = np.bincount(history.truth.visit, minlength=len(simulated.world.visits))
    uniform = history.uniform[shown.visit]
    expected = 1.0 / (n_eligible[shown.visit] - shown.position + 1)

    assert np.all(shown.propensity > 0)
    np.testing.assert_allclose(shown.propensity[uniform], expected[uniform], rtol=1e-9)
    assert abs(history.uniform.mean() - 0.1) < 0.02
