"""Rewards: clicks, purchases or revenue of each sale of each logged slate."""

from enum import StrEnum
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.dataset.merges import MergeTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import KIND, EventType
from models.experiments.analysis.outcome import texts


class Reward(StrEnum):
    """Reward by which a slate is valued, net of refunds."""

    CLICKS = "clicks"
    PURCHASES = "purchases"
    REVENUE = "revenue"


_TYPE: Final = {
    Reward.CLICKS: EventType.CLICK,
    Reward.PURCHASES: EventType.PURCHASE,
    Reward.REVENUE: EventType.PURCHASE,
}


def rewards_of(
    shown: pl.DataFrame, events: EventTable, *, reward: Reward, window_us: int
) -> NDArray[np.float64]:
    """Credit each event once: to the answer that it names, else to the last that showed it.

    An event that names an answer is of no other, also where that answer is none of the rows.
    Without a name it is the last answer that showed this sale to this customer, or to their guest,
    before.

    Args:
        shown: A row a shown sale: ``recommendation_id, customer_id, sale_id, now_us``.
        events: Events of the same shop.
        reward: What counts: whether the sale was clicked or bought, or what was paid for it;
            a purchase of unknown price counts as no money.
        window_us: How long after the answer it counts.

    Returns:
        Reward of each row, shape ``(n_rows,)``.
    """
    rows = shown.with_row_index("row").with_columns(pl.col("now_us").cast(pl.Int64))
    happened = _happened(events, reward).sort("at_us")
    answers = rows.select("row", "recommendation_id", "sale_id", "now_us")
    named = happened.join(answers, on=["recommendation_id", "sale_id"], how="inner")
    credited = pl.concat(
        [named.select("row", "at_us", "now_us", "paid"), _unnamed(rows, happened, events.merges)]
    )
    since = pl.col("at_us") - pl.col("now_us")
    counted = credited.filter(since <= window_us)
    paid = np.zeros(len(shown))
    # Several events may be of one row, which an indexed sum would count once.
    np.add.at(paid, counted["row"].to_numpy(), counted["paid"].to_numpy())
    return paid if reward is Reward.REVENUE else (paid > 0).astype(np.float64)


def _happened(events: EventTable, reward: Reward) -> pl.DataFrame:
    events = net_of_refunds(events)
    found = np.flatnonzero(events.kinds == KIND[_TYPE[reward]])
    priced = events.prices * np.maximum(events.quantities, 1)
    paid = np.where(np.isnan(events.revenues), priced, events.revenues)[found]
    return pl.DataFrame(
        {
            "customer_id": texts(events.customers, found),
            "sale_id": texts(events.sale_ids, found),
            "recommendation_id": texts(events.exposures, found),
            "at_us": events.at_us[found],
            "paid": np.nan_to_num(paid) if reward is Reward.REVENUE else np.ones(len(found)),
        }
    )


def _unnamed(rows: pl.DataFrame, happened: pl.DataFrame, merges: MergeTable) -> pl.DataFrame:
    customer = pl.col("customer_id").replace(merges.guest_ids, merges.customer_ids)
    others = happened.with_columns(customer).filter(pl.col("recommendation_id").is_null())
    others = others.sort("at_us")
    own = rows.filter(pl.col("customer_id").is_not_null()).select(
        "row", customer, "sale_id", "now_us"
    )
    joined = others.join_asof(
        own.sort("now_us"),
        left_on="at_us",
        right_on="now_us",
        by=["customer_id", "sale_id"],
        strategy="backward",
        check_sortedness=False,  # sorted above; within groups it is not checked but warned about
    )
    return joined.filter(pl.col("row").is_not_null()).select("row", "at_us", "now_us", "paid")
