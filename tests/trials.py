"""Simulated experiments on units: assignments, exposures with their times, purchases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.domain.customer import Window
from models.domain.event import to_us
from models.domain.profile import Profile
from models.experiments.analysis.moments import Moments
from models.experiments.plan.bucketing import bucket, resized
from models.experiments.plan.experiment import Experiment
from tests.logs import SCHEMA

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAYS: Final = 14
DAY_US: Final = 86_400_000_000
HOUR_US: Final = DAY_US // 24


RECORDED: Final[Mapping[str, object]] = {
    "limit": 3,
    "exclude": [],
    "excluded_unknown": 0,
    "candidates_unknown": 0,
    "candidates_ordered": False,
    "window": Window.empty().pack(),
    "profile": Profile.empty().pack(),
    "snapshot_id": "c.n",
    "bundle_id": "bundle",
    "plan_version": 1,
    "assignments": [],
    "order_by": "meta",
    "diversity": 0.0,
    "feature_hash": "",
    "took_us": 5_000,
    "versions": [],
    "listed": [],
    "rule_prices": [],
    "rows": [],
    "covers": None,
}
"""A row of the file of exposures, but for the answer's id, time and slate."""


INTERLEAVED: Final[Mapping[str, object]] = {
    "experiment": "both",
    "first": "control",
    "second": "other",
    "teams": ["control", "other"],
    "snapshot_id": "c.n",
    "bundle_id": "b2",
    "order_by": "meta",
    "diversity": 0.0,
    "feature_hash": "",
}
"""The column of an interleaved slate of two sales."""


def recorded_slate(
    sales: Sequence[str], propensities: Sequence[float] = ()
) -> list[dict[str, object]]:
    """The slate of an answer, by rank, without rules; certain unless propensities are given."""
    return [
        {
            "sale_id": sale_id,
            "rank": rank,
            "propensity": propensity,
            "purchase_probability": 0.1,
            "rules": list[str](),
        }
        for rank, (sale_id, propensity) in enumerate(
            zip(sales, propensities or [1.0] * len(sales), strict=True), start=1
        )
    ]


def two_arms(
    salt: str = "salt",
    *,
    treatment_bp: int = 5_000,
    name: str = "trial",
    results: Mapping[str, float] | None = None,
) -> Experiment:
    """Return an experiment of two weeks with a control and a treatment."""
    control, treatment = resized([(), ()], [10_000 - treatment_bp, treatment_bp])
    return Experiment.model_validate(
        {
            "name": name,
            "layer": "layer",
            "salt": salt,
            "starts_at": START,
            "ends_at": START + timedelta(days=DAYS),
            "control": "control",
            "variants": [
                {"name": "control", "buckets": control},
                {"name": "treatment", "buckets": treatment},
            ],
            "results": results or {},
        }
    )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of an experiment; ``at`` is in microseconds after `START`."""

    unit: str | None = "c1"
    customer: str | None = None
    variant: str = "control"
    at: int = 0
    share_bp: int = 5_000
    is_forced: bool = False
    experiment: str = "trial"
    degraded: str | None = None
    sales: tuple[str, ...] = ("s1", "s2")
    took_us: int | None = None
    cost: float | None = None
    rows: tuple[tuple[str, int], ...] = ()


def exposures(answers: Sequence[Answer]) -> pl.DataFrame:
    """Return the file of exposures of some answers; ``x0`` is the id of the first."""
    rows = [
        {
            "recommendation_id": f"x{number}",
            "customer_id": one.customer or one.unit,
            "now": START + timedelta(microseconds=one.at),
            "limit": 10,
            "degraded": one.degraded,
            "took_us": one.took_us,
            "exploration_cost": one.cost,
            "rows": [
                {"row": {"name": name}, "n_items": n, "because_of": None} for name, n in one.rows
            ],
            "slate": [{"sale_id": sale} for sale in one.sales],
            "assignments": [
                {
                    "experiment": one.experiment,
                    "variant": one.variant,
                    "unit_id": one.unit,
                    "share_bp": one.share_bp,
                    "is_forced": one.is_forced,
                }
            ],
        }
        for number, one in enumerate(answers)
    ]
    return pl.DataFrame(rows, schema_overrides=_SCHEMA)


@dataclass(frozen=True, kw_only=True)
class Did:
    """One event; ``at`` is in microseconds after `START`."""

    unit: str = "c1"
    kind: str = "purchase"
    sale: str = "s1"
    at: int = 0
    revenue: float | None = None
    price: float | None = None
    quantity: int | None = None
    session: str | None = None
    exposure: str | None = None


def sample(values: NDArray[np.float64]) -> Moments:
    """Return the moments of a mean per unit."""
    n = len(values)
    return Moments.from_columns(np.column_stack([values, np.ones(n), np.zeros(n)]))


def buyers(n: int, *, of: int) -> Moments:
    """Return the moments of units of which so many bought."""
    return sample((np.arange(of) < n).astype(np.float64))


def events(did: Sequence[Did]) -> EventTable:
    """Return the table of some events."""
    return event_columns(
        [one.unit for one in did],
        at=np.array([one.at for one in did], dtype=np.int64),
        type=[one.kind for one in did],
        sale_id=[one.sale for one in did],
        revenue=[one.revenue for one in did],
        price=[one.price for one in did],
        quantity=[one.quantity for one in did],
        session_id=[one.session for one in did],
        exposure_id=[one.exposure for one in did],
    )


def event_columns(units: Sequence[str], *, at: NDArray[np.int64], **columns: object) -> EventTable:
    """Return the table of events from columns; ``at`` in microseconds after `START`."""
    times = pl.Series(at + to_us(START), dtype=pl.Int64)
    given = {"customer_id": units, "at": times, "received_us": times, **columns}
    n = len(units)
    whole = {
        name: given.get(name, [default] * n)
        for name, default in {**_EVENT, "at": 0, "received_us": 0, "customer_id": ""}.items()
    }
    ids = pl.int_range(n, eager=True).cast(pl.String).alias("event_id")
    return EventTable.from_frame(pl.DataFrame(whole, schema_overrides=_TYPES).with_columns(ids))


def is_treated(experiment: Experiment, units: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which units the hash deals to the treatment, shape ``(n_units,)``."""
    found = [experiment.variant_for(bucket(unit, experiment.salt)).name for unit in units]
    return np.array(found) == "treatment"


def seen_once(
    experiment: Experiment,
    units: Sequence[str],
    *,
    treated: NDArray[np.bool_],
    first: NDArray[np.int64],
) -> pl.DataFrame:
    """Return exposures of units that each came once.

    Args:
        experiment: The experiment that assigned them.
        units: Ids.
        treated: Who got the treatment, shape ``(n_units,)``.
        first: When each came, microseconds after `START`, shape ``(n_units,)``.
    """
    shares = {one.name: one.share_bp for one in experiment.variants}
    variant = np.where(treated, "treatment", "control")
    assignment = pl.struct(
        pl.lit(experiment.name).alias("experiment"),
        "variant",
        pl.col("variant").replace_strict(shares, return_dtype=pl.Int64).alias("share_bp"),
        pl.lit(value=False).alias("is_forced"),
        pl.col("customer_id").alias("unit_id"),
    )
    frame = pl.DataFrame(
        {
            "recommendation_id": [f"x-{unit}" for unit in units],
            "customer_id": list(units),
            "now": pl.Series(first + to_us(START)).cast(pl.Datetime("us", "UTC")),
            "variant": variant,
        }
    )
    return frame.select(
        "recommendation_id",
        "customer_id",
        "now",
        pl.lit(10).alias("limit"),
        pl.lit(None, pl.String).alias("degraded"),
        pl.concat_list(pl.struct(pl.lit("s1").alias("sale_id"))).alias("slate"),
        pl.concat_list(assignment).alias("assignments"),
    )


_SCHEMA: Final = {
    "customer_id": pl.String,
    "degraded": pl.String,
    "took_us": pl.Int64,
    "exploration_cost": pl.Float64,
    "now": pl.Datetime("us", "UTC"),
    "slate": pl.List(pl.Struct({"sale_id": pl.String})),
}

_EVENT: Final[dict[str, object]] = {
    "session_id": None,
    "type": "purchase",
    "sale_id": "s1",
    "exposure_id": None,
    "position": None,
    "cover": None,
    "price": None,
    "quantity": None,
    "revenue": None,
    "market": None,
    "device": None,
    "propensity": None,
    "variant": None,
}

_TYPES: Final = {name: SCHEMA[name] for name in ("customer_id", *_EVENT)}
