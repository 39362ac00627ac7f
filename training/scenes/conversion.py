"""Conversion rates: the share of opened sales that were bought, by topic and market."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from models.dataset.events import EventTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import PURCHASE, key
from models.domain.refund_matching import SHOWS_INTEREST
from training.statistics.bootstrap import Interval, wilson_interval

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Conversion of one topic in one market.

    Attributes:
        topic: Of the sales.
        market: Of the customers.
        share: Of (customer, sale) pairs with a purchase, and its 95% interval.
    """

    topic: str
    market: str
    share: Interval


def conversions(events: EventTable, topics: Mapping[str, str]) -> list[Conversion]:
    """Count, by topic and market, the pairs of customer and sale that ended in a purchase.

    A pair counts if it has an event that shows interest, in the market of the first such event.
    A refunded purchase is none.

    Args:
        events: The events.
        topics: Topic by sale id; other sales are left out.

    Returns:
        One for each topic and market with a pair, in their order.
    """
    events = net_of_refunds(events)
    by_key = {key(sale_id): topic for sale_id, topic in topics.items()}
    opened = SHOWS_INTEREST.take(events.kinds)
    opened &= np.isin(events.sale_keys, np.array(list(by_key), dtype=np.uint64))
    # Many views of a sale by one customer are one trial: they are not independent, and Wilson's
    # interval would be too narrow.
    pairs = (
        pl.DataFrame(
            {
                "customer": events.customers.codes[opened],
                "sale": events.sale_keys[opened],
                "market": events.markets.codes[opened],
                "bought": events.kinds[opened] == PURCHASE,
            }
        )
        .group_by("customer", "sale", maintain_order=True)
        .agg(pl.col("market").first(), pl.col("bought").any())
    )
    counted: dict[tuple[str, str], list[int]] = {}
    for _, sale, market, bought in pairs.iter_rows():
        name = UNKNOWN if market < 0 else str(events.markets.values[market])
        successes_and_trials = counted.setdefault((by_key[sale], name), [0, 0])
        successes_and_trials[0] += bought
        successes_and_trials[1] += 1
    return [
        Conversion(topic, market, wilson_interval(*counts))
        for (topic, market), counts in sorted(counted.items())
    ]
