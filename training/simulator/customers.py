"""Simulated customers, and the times of their visits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.parameters import (
    DAY_US,
    DEVICE_SHARES,
    DEVICES,
    HOUR_US,
    MARKET_SHARES,
    MARKETS,
    Parameters,
)
from training.simulator.period import Period

# Chosen: docs/world.md, "Visits". Below 1 the gamma distribution has many rare customers.
_LOYALTY_SHAPE = 0.8
_MEMBER_DAYS = 700
_OTHER_DEVICE = 0.15
_GAP_US = HOUR_US  # longer than any reaction of a visit: 90 s to click and 20 min to buy
# Relative intensity by hour of the day (UTC), with a peak in the evening.
_HOURLY = np.array(
    [20, 10, 6, 5, 6, 12, 30, 55, 60, 55, 52, 55, 70, 68, 55, 50, 52, 58, 68, 85, 100, 95, 70, 40]
)
_WEEKLY = np.array([1.0, 0.95, 0.95, 1.0, 0.9, 1.05, 1.25])  # from Monday
_MONDAY_DAYS = 4  # from the epoch, a Thursday, to its first Monday


@dataclass(frozen=True)
class Customers:
    """Columns of shape ``(n_customers,)``.

    Attributes:
        type: Taste type.
        market: Index into ``MARKETS``.
        device: Index into ``DEVICES`` of the usual device.
        joined_us: When the account was made, microseconds.
        loyalty: Number of visits, relative to the mean.
    """

    type: NDArray[np.int64]
    market: NDArray[np.int64]
    device: NDArray[np.int64]
    joined_us: NDArray[np.int64]
    loyalty: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.type)


@dataclass(frozen=True)
class Visits:
    """Columns of shape ``(n_visits,)``, ordered by time.

    Attributes:
        customer: Row of the customer.
        at_us: When the home page was shown, microseconds.
        next_us: The same customer's next visit; the largest int64 if there is none.
        device: Index into ``DEVICES``.
        turn: Number of earlier visits of the customer on the same calendar day.
    """

    customer: NDArray[np.int64]
    at_us: NDArray[np.int64]
    next_us: NDArray[np.int64]
    device: NDArray[np.int64]
    turn: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of visits."""
        return len(self.customer)


def draw_customers(
    parameters: Parameters, period: Period, *, n_customers: int, rng: np.random.Generator
) -> Customers:
    """Draw customers: three of ten join during the period, the others up to 700 days before it."""
    length_us = period.end_us - period.start_us
    new = rng.random(n_customers) < parameters.new_share
    age_us = (rng.random(n_customers) * _MEMBER_DAYS * DAY_US).astype(np.int64)
    during_us = (rng.random(n_customers) * length_us).astype(np.int64)
    return Customers(
        type=rng.integers(parameters.n_types, size=n_customers),
        market=rng.choice(len(MARKETS), size=n_customers, p=MARKET_SHARES),
        device=rng.choice(len(DEVICES), size=n_customers, p=DEVICE_SHARES),
        joined_us=period.start_us + np.where(new, during_us, -age_us),
        loyalty=rng.gamma(_LOYALTY_SHAPE, 1.0 / _LOYALTY_SHAPE, size=n_customers),
    )


def draw_visits(
    parameters: Parameters, period: Period, *, customers: Customers, rng: np.random.Generator
) -> Visits:
    """Draw visits: ``n_customers * visits`` in all, of each customer in proportion to loyalty.

    Moments follow a daily and a weekly rhythm from the moment of joining. Two visits of one
    customer are at least an hour apart, so that a visit's events never meet the next visit.
    """
    edges_us, cumulative = _rhythm(period)
    from_us = np.maximum(customers.joined_us, period.start_us)
    passed = np.interp(from_us, edges_us, cumulative)
    weight = customers.loyalty * (1.0 - passed)
    n_visits = round(len(customers) * parameters.visits)
    customer = np.repeat(
        np.arange(len(customers)), rng.multinomial(n_visits, weight / weight.sum())
    )
    # Uniform in the share of the rhythm that is left after joining; its inverse gives the moment.
    share = passed[customer] + rng.random(len(customer)) * (1.0 - passed[customer])
    at_us = np.interp(share, cumulative, edges_us).astype(np.int64)
    order = np.lexsort((at_us, customer))
    customer, at_us = customer[order], _spaced(customer[order], at_us[order])
    # Those that were pushed beyond the end are lost.
    inside = at_us < period.end_us
    customer, at_us = customer[inside], at_us[inside]
    next_us = np.full(len(at_us), np.iinfo(np.int64).max)
    same = customer[1:] == customer[:-1]
    next_us[:-1][same] = at_us[1:][same]
    # A number for each customer and day, so that one pass counts the turns of all.
    n_days = int(at_us.max() // DAY_US) + 1 if len(at_us) else 1
    turn = _turns(customer * n_days + at_us // DAY_US)
    other = rng.random(len(customer)) < _OTHER_DEVICE
    random_device = rng.choice(len(DEVICES), size=len(customer), p=DEVICE_SHARES)
    device = np.where(other, random_device, customers.device[customer])
    order = np.argsort(at_us, kind="stable")
    return Visits(
        customer=customer[order],
        at_us=at_us[order],
        next_us=next_us[order],
        device=device[order],
        turn=turn[order],
    )


def _rhythm(period: Period) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    hours = np.arange(period.start_us // HOUR_US, period.end_us // HOUR_US + 1)
    days = hours // 24
    intensity = _HOURLY[hours % 24] * _WEEKLY[(days - _MONDAY_DAYS) % 7]
    edges_us = np.append(hours, hours[-1] + 1) * HOUR_US
    edges_us = np.clip(edges_us, period.start_us, period.end_us)
    cumulative = np.concatenate([[0.0], np.cumsum(intensity * np.diff(edges_us))])
    # An empty last hour would repeat the end and make the inverse ambiguous.
    used = np.append(True, np.diff(edges_us) > 0)
    return edges_us[used], (cumulative / cumulative[-1])[used]


def _spaced(customer: NDArray[np.int64], at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Push visits back until each is ``_GAP_US`` after the same customer's previous one."""
    if not len(at_us):
        return at_us
    first_us = int(at_us.min())
    turn = _turns(customer)
    # One running maximum serves all customers when each has a band of time of their own.
    band_us = int(at_us.max()) - first_us + (int(turn.max()) + 1) * _GAP_US
    slack = at_us - first_us - turn * _GAP_US + customer * band_us
    return np.maximum.accumulate(slack) - customer * band_us + turn * _GAP_US + first_us


def _turns(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the members of every run of equal values from 0, shape ``(n,)``."""
    index = np.arange(len(group))
    starts = np.append(True, group[1:] != group[:-1])[: len(group)]
    return index - np.maximum.accumulate(np.where(starts, index, 0))
