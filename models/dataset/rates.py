"""Rates of exchange: amounts of a dataset in one currency."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.checks import ROW, without_refused
from models.dataset.conversion import convert
from models.dataset.events import EventTable
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.dataset.schema import RATES
from models.dataset.tables import Table
from models.domain.event import from_us, key, to_us
from models.domain.sale import Sale

_AMOUNTS: Final = ("price", "original_price", "margin")


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Worth of one unit of each currency in the currency of the shop, by time.

    Attributes:
        steps: By currency, times from which a rate holds, ascending, microseconds since the
            epoch, and the rates, each of shape ``(n,)``.
    """

    steps: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]]

    @classmethod
    def none(cls) -> Self:
        """Return the rates of a dataset in one currency."""
        return cls({})

    def at(self, currency: str, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the rates of a currency at moments, shape ``(n,)``.

        Before its first rate a currency has that one; a currency without rates is the shop's.
        """
        if currency not in self.steps:
            return np.ones(len(at_us))
        starts, rates = self.steps[currency]
        return rates[np.maximum(np.searchsorted(starts, at_us, side="right") - 1, 0)]


def read_rates(table: Table) -> tuple[Rates, FaultReport]:
    """Read a table of rates; a currency with two rates from one time makes it unusable.

    Args:
        table: ``currency``, ``rate`` and ``at``, the time from which the rate holds.
    """
    frame, faults = convert(table, RATES, extra=FaultCode.UNKNOWN_COLUMN)
    if faults.unusable():
        return Rates.none(), faults
    frame = without_refused(frame, faults, file=table.file)
    frame = frame.with_columns(pl.col("currency").str.to_uppercase()).sort(
        "at", maintain_order=True
    )
    faults += _conflicting(frame, file=table.file)
    if faults.unusable():
        return Rates.none(), faults
    steps = {
        str(currency): (rows["at"].to_numpy(), rows["rate"].to_numpy())
        for (currency,), rows in frame.group_by("currency", maintain_order=True)
    }
    return Rates(steps), faults


def _conflicting(frame: pl.DataFrame, *, file: str) -> FaultReport:
    n_rates = pl.col("rate").n_unique().over("currency", "at")
    first = pl.col("rate").first().over("currency", "at")
    # Which of them holds, a file cannot say: every amount would be by the one that came last.
    later = frame.filter((n_rates > 1) & (pl.col("rate") != first))
    named = frame.with_columns(first.alias("first")).join(later.select(ROW), on=ROW, how="semi")
    return FaultReport.from_faults(
        Fault(
            file=file,
            row=row,
            column="rate",
            code=FaultCode.CONFLICTING_RATE,
            reason=f"rate of {currency} from {from_us(at_us):%Y-%m-%d %H:%M} is {rate:g} here, and"
            f" {other:g} in an earlier row: keep one",
        )
        for row, currency, at_us, rate, other in named.select(
            ROW, "currency", "at", "rate", "first"
        ).iter_rows()
    )


def late_rates(sales: Iterable[Sale], events: EventTable, *, rates: Rates) -> FaultReport:
    """Note currencies whose first rate is later than all that it converts.

    Args:
        sales: Sales in their own currencies.
        events: Their events.
        rates: The rates.
    """
    of_currency = {currency: list[Sale]() for currency in rates.steps}
    for sale in sales:
        if sale.currency is not None and sale.currency.upper() in of_currency:
            of_currency[sale.currency.upper()].append(sale)
    return FaultReport.from_faults(
        Fault(file="rates", column="at", code=FaultCode.LATE_RATE, reason=reason)
        for currency, own in of_currency.items()
        if own and (reason := _if_late(currency, own, events, rates))
    )


def _if_late(currency: str, own: Iterable[Sale], events: EventTable, rates: Rates) -> str:
    own = list(own)
    keys = np.array([key(sale.sale_id) for sale in own], dtype=np.uint64)
    times = [to_us(sale.opens_at) for sale in own]
    last_us = int(events.at_us[np.isin(events.sale_keys, keys)].max(initial=max(times)))
    first_us = int(rates.steps[currency][0][0])
    if first_us <= last_us:
        return ""
    return (
        f"the first rate of {currency} is of {from_us(first_us):%Y-%m-%d %H:%M}, later than all its"
        f" {len(own):,} sales and their events, the last at {from_us(last_us):%Y-%m-%d %H:%M}: all"
        " are converted by this rate; is its `at` right?"
    )


def sales_in_one_currency(sales: Iterable[Sale], *, rates: Rates) -> tuple[Sale, ...]:
    """Convert the amounts of sales in currencies with rates, by the rate at their opening."""
    sales = tuple(sales)
    foreign = _foreign(sales, rates)
    if not foreign:
        return sales
    own = Counter(
        sale.currency.upper()
        for sale in sales
        if sale.currency is not None and sale.sale_id not in foreign
    )
    # Where every sale is in a currency with rates, the shop's own has no name.
    currency = own.most_common(1)[0][0] if own else None
    return tuple(
        _converted(sale, rates, currency) if sale.sale_id in foreign else sale for sale in sales
    )


def in_one_currency(
    sales: Iterable[Sale], events: EventTable, *, rates: Rates
) -> tuple[tuple[Sale, ...], EventTable]:
    """Convert the amounts of sales in currencies with rates, and those of their events.

    Those of an event are converted by the rate at its time; see `sales_in_one_currency`. Without
    rates nothing changes.
    """
    sales = tuple(sales)
    foreign = _foreign(sales, rates)
    if not foreign:
        return sales, events
    converted = sales_in_one_currency(sales, rates=rates)
    return converted, _converted_events(events, foreign, rates)


def _foreign(sales: Iterable[Sale], rates: Rates) -> dict[str, str]:
    """Return the currencies with rates, by the ids of the sales that have one."""
    return {
        sale.sale_id: sale.currency.upper()
        for sale in sales
        if sale.currency is not None and sale.currency.upper() in rates.steps
    }


def _converted(sale: Sale, rates: Rates, currency: str | None) -> Sale:
    [rate] = rates.at(str(sale.currency).upper(), np.array([to_us(sale.opens_at)])).tolist()
    amounts: Mapping[str, float | None] = {name: getattr(sale, name) for name in _AMOUNTS}
    worth = {name: None if n is None else n * rate for name, n in amounts.items()}
    return sale.model_copy(update={**worth, "currency": currency})


def _converted_events(events: EventTable, foreign: Mapping[str, str], rates: Rates) -> EventTable:
    factors = np.ones(len(events))
    keys = {currency: list[int]() for currency in foreign.values()}
    for sale_id, currency in foreign.items():
        keys[currency].append(key(sale_id))
    for currency, of in keys.items():
        rows = np.flatnonzero(np.isin(events.sale_keys, np.array(of, dtype=np.uint64)))
        factors[rows] = rates.at(currency, events.at_us[rows])
    return replace(events, prices=events.prices * factors, revenues=events.revenues * factors)
