"""Outcomes of units: clicks and purchases within a window after a time, and before it."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.event_columns import Labels
from models.dataset.events import EventTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import CLICK, MAX_AHEAD_US, PURCHASE
from models.experiments.plan.experiment import Unit

_COUNTED: Final = (
    "bought",
    "purchases",
    "revenue",
    "clicks",
    "unpriced",
    "bought_before",
    "purchases_before",
    "revenue_before",
)


def outcomes(
    events: EventTable, answers: pl.DataFrame, *, unit: Unit, left_out: dict[str, int]
) -> pl.DataFrame:
    """Return the clicks and purchases with a known unit, net of refunds.

    Args:
        events: Events of a shop.
        answers: ``recommendation_id, unit_id, customer_id, now_us`` of answers; the device of an
            event is that of the answer that it refers to. A customer whom answers know by another
            unit, as that guest was there first, is that unit from the first such answer on.
        unit: The assignment unit.
        left_out: Gets the number of names of answers that do not count, as the event was earlier.

    Returns:
        ``unit_id, sale_id, at_us, is_purchase``, which is not before the answer that it refers to,
        as clocks of devices and servers differ; ``recommendation_id`` of the answer that it
        refers to, null of one that was made more than `MAX_AHEAD_US` later; ``names_answer``:
        whether that is one of the answers, and ``paid``: the revenue, else price times quantity,
        else null.
    """
    events = net_of_refunds(events)
    rows = np.flatnonzero((events.kinds == PURCHASE) | (events.kinds == CLICK))
    priced = events.prices * np.maximum(events.quantities, 1)
    # The revenue as recorded, else the price of as many pieces, one if unknown.
    paid = np.where(np.isnan(events.revenues), priced, events.revenues)[rows]
    frame = pl.DataFrame(
        {
            "customer_id": texts(events.customers, rows),
            "session_id": texts(events.sessions, rows),
            "sale_id": texts(events.sale_ids, rows),
            "recommendation_id": texts(events.exposures, rows),
            "at_us": events.at_us[rows],
            "is_purchase": events.kinds[rows] == PURCHASE,
            "paid": pl.Series(paid, dtype=pl.Float64, nan_to_null=True),
        }
    )
    moments = answers.select("recommendation_id", answered_us="now_us")
    frame = frame.join(moments, on="recommendation_id", how="left", maintain_order="left")
    # What follows from an answer is not older than it, but for the difference of two clocks.
    is_older = (pl.col("at_us") < pl.col("answered_us") - MAX_AHEAD_US).fill_null(value=False)
    left_out["events_before_their_answer"] = int(frame.select(is_older.sum()).item())
    of_answer = pl.when(~is_older)
    frame = frame.with_columns(
        recommendation_id=of_answer.then("recommendation_id"),
        at_us=pl.max_horizontal("at_us", of_answer.then("answered_us")),
        names_answer=of_answer.then("answered_us").is_not_null(),
    ).drop("answered_us")
    # Events do not name devices: the answer does to which an event refers.
    if unit is Unit.DEVICE:
        devices = answers.select("recommendation_id", "unit_id")
        return frame.join(devices, on="recommendation_id", how="inner")
    if unit is Unit.CUSTOMER:
        return _with_first_ids(frame, answers)
    return frame.rename({"session_id": "unit_id"}).filter(pl.col("unit_id").is_not_null())


def _with_first_ids(frame: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    is_merged = pl.col("customer_id") != pl.col("unit_id")
    merged = answers.filter(is_merged).group_by("customer_id")
    first = merged.agg(first_id=pl.col("unit_id").first(), since_us=pl.col("now_us").min())
    joined = frame.join(first, on="customer_id", how="left", maintain_order="left")
    is_of_first = pl.col("at_us") >= pl.col("since_us")
    unit_id = pl.when(is_of_first).then("first_id").otherwise("customer_id")
    return joined.with_columns(unit_id=unit_id).drop("customer_id", "first_id", "since_us")


def with_outcomes(
    units: pl.DataFrame, did: pl.DataFrame, *, window_us: int, before_us: int
) -> pl.DataFrame:
    """Add outcomes to units.

    Args:
        units: ``unit_id, first_us`` and further columns, each unit once.
        did: See `outcomes`.
        window_us: Length of the window after ``first_us``, microseconds.
        before_us: Length of the period before ``first_us``, microseconds.

    Returns:
        The same rows with ``bought`` (1 or 0), ``purchases, revenue, clicks`` and ``unpriced``
        of the window, where ``unpriced`` are purchases of unknown price, which add nothing to
        the revenue, and ``bought, purchases, revenue`` before it, which end in
        ``_before``. Clicks are those that refer to an answer.
    """
    own = did.join(units.select("unit_id", "first_us"), on="unit_id", how="inner")
    since = pl.col("at_us") - pl.col("first_us")
    within = (since >= 0) & (since < window_us)
    before = (since < 0) & (since >= -before_us)
    bought, paid = pl.col("is_purchase"), pl.col("paid").fill_null(0.0)
    # From the first exposure on and before it: the latter cannot be an effect of the variant.
    summed = own.group_by("unit_id").agg(
        (within & bought).any().cast(pl.Float64).alias("bought"),
        (within & bought).sum().alias("purchases"),
        paid.filter(within & bought).sum().alias("revenue"),
        (within & ~bought & pl.col("names_answer")).sum().alias("clicks"),
        (within & bought & pl.col("paid").is_null()).sum().alias("unpriced"),
        (before & bought).any().cast(pl.Float64).alias("bought_before"),
        (before & bought).sum().alias("purchases_before"),
        paid.filter(before & bought).sum().alias("revenue_before"),
    )
    joined = units.join(summed, on="unit_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(*_COUNTED).fill_null(0))


def texts(labels: Labels, rows: NDArray[np.intp]) -> pl.Series:
    """Return the texts of rows, null where missing."""
    return labels.values.gather(pl.Series(labels.codes[rows]).replace(-1, None))
