"""Exposures file: one row per answer, as written by the export and read by results."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import polars as pl

from models.arrays.parquet import scan_parquet
from models.dataset.events import EventTable
from models.domain.errors import UserError

FILE: Final = "exposures.parquet"

_ASSIGNMENTS: Final = "assignments"
_INTERLEAVING: Final = "interleaving"
_NEEDED: Final = ("recommendation_id", "now", "limit", "degraded", "slate", _ASSIGNMENTS)
TOOK: Final = "took_us"
"""Column of the latency of an answer; optional."""

COST: Final = "exploration_cost"
"""Column of the outcomes that exploration is expected to lose in an answer; optional."""

_OPTIONAL: Final = {TOOK: pl.Int64, COST: pl.Float64, "customer_id": pl.String}


class ExposureError(UserError):
    """A file of exposures that cannot be read."""


def read_exposures(
    directory: Path,
    columns: Collection[str] | None = None,
    *,
    optional: Collection[str] = (),
    where: pl.Expr | None = None,
) -> pl.DataFrame:
    """Read the exposures of an export directory.

    Args:
        directory: Holds ``exposures.parquet``.
        columns: Columns to read; all if None.
        optional: More columns to read, if the file has them.
        where: Answers to read, by any of the file's columns; all if None.

    Returns:
        One row per answer: of several with one id, as in files that were joined twice, the first.

    Raises:
        ExposureError: If there is no such file, it cannot be read, or it lacks a column.
    """
    path = directory / FILE
    try:
        scan = scan_parquet([path])
        names = scan.collect_schema().names()
        known = [name for name in optional if name in names]
        wanted = names if columns is None else [*columns, *known]
        found = (scan if where is None else scan.filter(where)).select(wanted).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
        if not path.exists():
            msg = (
                f"{path} is not there: `python -m app export-events` writes it. Events alone do "
                "not say which variants answered, and with what propensities; `python -m training "
                "evaluate` judges a bundle by them"
            )
            raise ExposureError(msg) from exc
        reason = str(exc).splitlines()[0]
        msg = f"{path} is no readable file of exposures; write it with export-events: {reason}"
        raise ExposureError(msg) from exc
    if "recommendation_id" not in found.columns:
        return found
    return found.unique("recommendation_id", keep="first", maintain_order=True)


def known_until_us(exposures: pl.DataFrame, events: EventTable) -> int:
    """Return the time of the latest event or answer, microseconds since the epoch; 0 without."""
    latest = int(events.received_us.max(initial=0))
    if exposures.height:
        latest = max(latest, int(exposures["now"].dt.epoch("us").to_numpy().max()))
    return latest


def answers(exposures: pl.DataFrame, experiment: str) -> pl.DataFrame:
    """Return the answers that an experiment routed, in the order of time.

    Args:
        exposures: Rows of the file.
        experiment: Name of the experiment.

    Returns:
        ``recommendation_id, unit_id, now_us, variant, share_bp, is_forced, limit, degraded,
        took_us, exploration_cost, customer_id`` (null where unknown) and ``sale_ids``. ``unit_id``
        is null where the answer does not name the unit.

    Raises:
        ExposureError: If a column is missing.
    """
    missing = [name for name in _NEEDED if name not in exposures.columns]
    if missing:
        msg = f"exposures lack the columns {', '.join(missing)}: results of {experiment} need them"
        raise ExposureError(msg)
    optional = [
        pl.col(name) if name in exposures.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in _OPTIONAL.items()
    ]
    own = pl.element().struct.field("experiment") == experiment
    routed = pl.col("routed").struct
    return (
        exposures.with_columns(optional)
        .with_columns(
            routed=pl.col(_ASSIGNMENTS).list.eval(pl.element().filter(own)).list.first(),
            sale_ids=pl.col("slate").list.eval(pl.element().struct.field("sale_id")).fill_null([]),
        )
        .filter(routed.field("experiment").is_not_null())
        .select(
            "recommendation_id",
            routed.field("unit_id"),
            pl.col("now").dt.epoch("us").alias("now_us"),
            routed.field("variant"),
            routed.field("share_bp"),
            routed.field("is_forced"),
            "limit",
            "degraded",
            *_OPTIONAL,
            "sale_ids",
        )
        # The id decides between answers of one microsecond, so that results can be repeated.
        .sort("now_us", "recommendation_id")
    )


def places(exposures: pl.DataFrame, experiment: str) -> pl.DataFrame:
    """Return the places of the slates that an experiment interleaved.

    Args:
        exposures: Rows of the file.
        experiment: Name of the experiment.

    Returns:
        ``recommendation_id, unit_id, now_us, rank, sale_id`` and ``team``: the variant that the
        place belongs to, null for neither.

    Raises:
        ExposureError: If a column is missing.
    """
    routed = answers(exposures, experiment)
    if _INTERLEAVING not in exposures.columns:
        msg = f"exposures lack the column {_INTERLEAVING}: results of {experiment} need it"
        raise ExposureError(msg)
    shared = pl.col(_INTERLEAVING).struct
    own = exposures.filter(shared.field("experiment") == experiment).select(
        "recommendation_id", shared.field("teams").alias("team")
    )
    return (
        routed.join(own, on="recommendation_id", how="inner", maintain_order="left")
        .select(
            "recommendation_id",
            "unit_id",
            "now_us",
            pl.int_ranges(1, pl.col("sale_ids").list.len() + 1).alias("rank"),
            pl.col("sale_ids").alias("sale_id"),
            "team",
        )
        .explode("rank", "sale_id", "team")
    )
