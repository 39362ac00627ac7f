"""The record of an answer, for tests of its forms."""

from typing import Final

from models.experiments.exposure_record import ExposureRecord, ShownItem
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Assignment

RECORD: Final = ExposureRecord(
    recommendation_id="r1",
    customer_id="c1",
    session_id=None,
    device_id="d1",
    now_us=1_795_370_746_382_841,
    market="fr",
    device=None,
    limit=10,
    exclude=("s9",),
    excluded_unknown=1,
    candidates=("s1", "s2"),
    candidates_unknown=2,
    candidates_ordered=True,
    window=bytes(range(24)),
    profile=b"",
    snapshot_id="abc",
    bundle_id="b1",
    plan_version=3,
    assignments=(Assignment("order", "meta", Unit.CUSTOMER, "c1", 9_000),),
    order_by="meta",
    diversity=0.25,
    exploration=None,
    degraded=None,
    cause=None,
    feature_hash="ff",
    took_us=2_500,
    slate=(ShownItem("s1", 1, 1.0, 0.0125),),
    interleaving=None,
    versions=(("numpy", "2"),),
    exploration_cost=0.002,
)
