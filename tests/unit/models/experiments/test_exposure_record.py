from dataclasses import asdict, fields, replace

import polars as pl
import pytest

from models.experiments.exposure import ExposureError
from models.experiments.exposure_record import (
    FILE_COLUMNS,
    STREAM_COLUMNS,
    ExposureRecord,
    InterleavedRecord,
    RowRecord,
    ShownItem,
    read_records,
)
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Assignment
from models.query.candidates import CallerChoice
from models.query.query import Context
from models.rules.rule import Only, SlateRules
from models.slate.page import PageRow, RowKind
from models.slate.rule_price import RulePrice
from models.slate.slate_policy import PlackettLuce, SlatePolicy
from tests import records

RECORD = replace(
    records.RECORD,
    customer_id=None,
    session_id="v1",
    device_id=None,
    device="mobile",
    snapshot_id="abc.def",
    assignments=(Assignment("order", "meta", Unit.CUSTOMER, None, 9_000, is_forced=True),),
    order_by="content",
    exploration='{"kind":"plackett_luce","temperature":2.0}',
    slate=(ShownItem("s1", 1, 0.5, 0.0125), ShownItem("s2", 2, 1.0, None, ("pin",))),
    rules='[{"name":"pin","where":"sale_id == \\"s2\\"","action":{"kind":"pin","rank":2}}]',
    rule_prices=(RulePrice("pin", dry_run=False, outcomes=0.01, revenue=None),),
    filter="price < 300",
    rows=(
        RowRecord(PageRow("top", limit=1), 1, None),
        RowRecord(PageRow("like", RowKind.BECAUSE_YOU_LOOKED, filter="price > 3"), 1, "s9"),
    ),
    versions=(("numpy", "2"), ("vitrine", "0")),
)

FILE = {
    "recommendation_id": pl.String,
    "customer_id": pl.String,
    "session_id": pl.String,
    "device_id": pl.String,
    "now": pl.Datetime("us", "UTC"),
    "market": pl.String,
    "device": pl.String,
    "limit": pl.Int64,
    "exclude": pl.List(pl.String),
    "excluded_unknown": pl.Int64,
    "candidates": pl.List(pl.String),
    "candidates_unknown": pl.Int64,
    "candidates_ordered": pl.Boolean,
    "window": pl.Binary,
    "profile": pl.Binary,
    "snapshot_id": pl.String,
    "bundle_id": pl.String,
    "plan_version": pl.Int64,
    "assignments": pl.List(
        pl.Struct(
            {
                "experiment": pl.String,
                "variant": pl.String,
                "unit": pl.String,
                "unit_id": pl.String,
                "share_bp": pl.Int64,
                "is_forced": pl.Boolean,
            }
        )
    ),
    "order_by": pl.String,
    "diversity": pl.Float64,
    "exploration": pl.String,
    "degraded": pl.String,
    "cause": pl.String,
    "feature_hash": pl.String,
    "took_us": pl.Int64,
    "slate": pl.List(
        pl.Struct(
            {
                "sale_id": pl.String,
                "rank": pl.Int64,
                "propensity": pl.Float64,
                "purchase_probability": pl.Float64,
                "rules": pl.List(pl.String),
            }
        )
    ),
    "interleaving": pl.Struct(
        {
            "experiment": pl.String,
            "first": pl.String,
            "second": pl.String,
            "teams": pl.List(pl.String),
            "snapshot_id": pl.String,
            "bundle_id": pl.String,
            "order_by": pl.String,
            "diversity": pl.Float64,
            "feature_hash": pl.String,
        }
    ),
    "versions": pl.List(pl.List(pl.String)),
    "exploration_cost": pl.Float64,
    "listed": pl.List(pl.String),
    "rules": pl.String,
    "rule_prices": pl.List(
        pl.Struct(
            {
                "rule": pl.String,
                "dry_run": pl.Boolean,
                "outcomes": pl.Float64,
                "revenue": pl.Float64,
            }
        )
    ),
    "filter": pl.String,
    "rows": pl.List(
        pl.Struct(
            {
                "row": pl.Struct(
                    {
                        "name": pl.String,
                        "kind": pl.String,
                        "limit": pl.Int64,
                        "hours": pl.Float64,
                        "filter": pl.String,
                        "order_by": pl.String,
                        "min_items": pl.Int64,
                        "diversity": pl.Float64,
                        "rules": pl.String,
                    }
                ),
                "n_items": pl.Int64,
                "because_of": pl.String,
            }
        )
    ),
    "covers": pl.Struct(
        {
            "policy": pl.String,
            "shown": pl.List(
                pl.Struct({"rank": pl.Int64, "number": pl.Int64, "propensity": pl.Float64})
            ),
        }
    ),
}
"""The columns that files have had since 0.1: readers of other teams rely on them."""


def file_of(*records: ExposureRecord) -> pl.DataFrame:
    names = [field.name for field in fields(ExposureRecord)]
    rows = [{name: getattr(record, name) for name in names} for record in records]
    table = pl.DataFrame(
        [
            row
            | {
                "now": row["now_us"],
                "assignments": [
                    {
                        "experiment": one.experiment,
                        "variant": one.variant,
                        "unit": one.unit.value,
                        "unit_id": one.unit_id,
                        "share_bp": one.share_bp,
                        "is_forced": one.is_forced,
                    }
                    for one in row["assignments"]
                ],
                "slate": [
                    {
                        "sale_id": one.sale_id,
                        "rank": one.rank,
                        "propensity": one.propensity,
                        "purchase_probability": one.purchase_probability,
                        "rules": one.rules,
                    }
                    for one in row["slate"]
                ],
                "rows": [asdict(one) for one in row["rows"]],
                "rule_prices": [asdict(one) for one in row["rule_prices"]],
                "interleaving": row["interleaving"] and asdict(row["interleaving"]),
            }
            for row in rows
        ],
        schema=FILE | {"now": pl.Int64},
    )
    return table.with_columns(pl.col("now").cast(FILE["now"])).select(*FILE)


def test_the_columns_of_the_file_are_pinned() -> None:
    assert pl.Schema(FILE_COLUMNS) == pl.Schema(FILE)
    assert list(FILE_COLUMNS) == list(FILE)


def test_the_stream_has_the_same_columns_but_for_times_and_bytes() -> None:
    as_json = {"now_us": pl.Int64, "window": pl.String, "profile": pl.String}

    shared = {name: dtype for name, dtype in FILE.items() if name != "now"}
    assert pl.Schema(dict(sorted(STREAM_COLUMNS.items()))) == pl.Schema(
        dict(sorted((shared | as_json).items()))
    )


def test_a_record_is_read_back_whole_and_in_order() -> None:
    second = replace(RECORD, recommendation_id="r2", candidates=None, exploration=None, slate=())

    assert list(read_records(file_of(RECORD, second))) == [RECORD, second]


def test_an_interleaved_record_is_read_back_with_its_teams_and_its_second_policy() -> None:
    second = InterleavedRecord(
        *("bundles", "serving", "candidate", ("candidate", None), "abc.def", "b2", "meta"),
        diversity=0.5,
        feature_hash="ee",
    )
    recorded = replace(RECORD, interleaving=second)

    (again,) = read_records(file_of(recorded))

    assert again == recorded
    assert again.interleaving is not None
    assert again.interleaving.policy == SlatePolicy(order_by="meta", diversity=0.5)


def test_a_record_says_what_was_asked_and_by_which_policy() -> None:
    assert RECORD.context == Context(1_795_370_746_382_841, "fr", "mobile")
    assert RECORD.choice == CallerChoice(("s9",), ("s1", "s2"), is_ordered=True)
    assert replace(RECORD, filter=None).policy == SlatePolicy(
        order_by="content",
        diversity=0.25,
        exploration=PlackettLuce(temperature=2.0),
        rules=SlateRules.model_validate_json(RECORD.rules or ""),
    )
    assert replace(RECORD, exploration=None).policy.exploration is None
    first, second = RECORD.policy.rules.root
    assert (first.where, first.action) == ("price < 300", Only())
    assert second.name == "pin"


def test_a_row_that_is_no_record_is_named_with_its_columns() -> None:
    table = file_of(RECORD).drop("window").with_columns(limit=pl.lit("ten"))

    with pytest.raises(ExposureError, match=r"answer r1 is not recorded.*: limit, window"):
        list(read_records(table))
