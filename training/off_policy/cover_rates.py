"""Click rates by picture and segment: which picture works for whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from training.statistics.bootstrap import Interval, Z

_SEGMENTS: Final = ("device", "market")
# Chosen: with fewer clicks the interval is no better than a guess.
MIN_CLICKS: Final = 10


@dataclass(frozen=True, slots=True)
class CoverRate:
    """Clicks of a picture, as if it had been shown to the whole segment.

    Attributes:
        sale_id: The sale.
        number: Number of the picture.
        segment: All customers, or a device or market, as ``device=phone``.
        shown: How often it was shown to the segment.
        clicks: How often it was clicked then.
        rate: Clicks per time shown, with a 95% interval over customers.
        is_best: Whether its whole interval is above those of the sale's other pictures in the
            segment, of which there is one at least.
    """

    sale_id: str
    number: int
    segment: str
    shown: int
    clicks: int
    rate: Interval
    is_best: bool


def cover_rates(rows: pl.DataFrame, *, min_clicks: int = MIN_CLICKS) -> list[CoverRate]:
    """Return the rates of pictures that were clicked often enough, by sale, segment and number.

    The rate is ``sum w y / sum w`` with weights of one over the propensity: customers whom a
    picture was likelier shown to, as they like its kind, count for less. Its variance is that of
    ``sum w (y - rate) / sum w`` over customers.

    Args:
        rows: See `training.off_policy.cover_answers.shown_covers`.
        min_clicks: Clicks of a picture in a segment, without which it is left out.

    Source:
        Taylor linearisation of a ratio: Särndal, Swensson and Wretman, Model Assisted Survey
        Sampling, 1992, section 5.6.
    """
    parts = [
        rows.with_columns(segment=pl.lit("all")),
        *(
            rows.filter(pl.col(name).is_not_null()).with_columns(
                segment=pl.concat_str(pl.lit(f"{name}="), name)
            )
            for name in _SEGMENTS
            if rows[name].n_unique() > 1  # else it would repeat what is of all
        ),
    ]
    by = ["sale_id", "segment", "number"]
    weighted = pl.concat(parts).with_columns(weight=1.0 / pl.col("propensity"))
    weight, clicked = pl.col("weight"), pl.col("clicked")
    rate = (weight * clicked).sum().over(by) / weight.sum().over(by)
    found = (
        weighted.with_columns(rate=rate)
        .with_columns(residual=weight * (clicked - pl.col("rate")))
        .group_by(*by, "unit")
        .agg(
            pl.len().alias("shown"),
            clicked.sum().alias("clicks"),
            weight.sum(),
            pl.col("rate").first(),
            pl.col("residual").sum(),
        )
        .group_by(by)
        .agg(
            pl.col("shown").sum(),
            pl.col("clicks").sum(),
            pl.col("rate").first(),
            ((pl.col("residual") ** 2).sum().sqrt() / weight.sum()).alias("error"),
        )
        .filter(pl.col("clicks") >= min_clicks)
        .sort(by)
    )
    return list(_rates(found))


def _rates(found: pl.DataFrame) -> Iterator[CoverRate]:
    low, high = pl.col("rate") - Z * pl.col("error"), pl.col("rate") + Z * pl.col("error")
    limited = found.with_columns(low=low.clip(0.0), high=high.clip(upper_bound=1.0))
    over = ["sale_id", "segment"]
    # The second largest upper end, of pictures beside that of the largest rate.
    others = pl.col("high").filter(
        pl.col("number") != pl.col("number").get(pl.col("rate").arg_max())
    )
    is_best = (pl.col("rate") == pl.col("rate").max().over(over)) & (
        pl.col("low") > others.max().over(over)
    )
    for row in limited.with_columns(is_best=is_best.fill_null(value=False)).iter_rows(named=True):
        yield CoverRate(
            sale_id=row["sale_id"],
            number=row["number"],
            segment=row["segment"],
            shown=row["shown"],
            clicks=round(row["clicks"]),
            rate=Interval(row["rate"], row["low"], row["high"], row["shown"]),
            is_best=row["is_best"],
        )
