"""Plans: what is refused, and who sees what."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from models.experiments.plan.bucketing import BUCKETS, resized
from models.experiments.plan.experiment import Experiment, Unit
from models.experiments.plan.plan import (
    HOLDOUT,
    ExclusiveVariantsError,
    Plan,
    UnknownVariantError,
    Visit,
)
from tests.plans import with_shares

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=14)
NOW = START + timedelta(days=1)
CUSTOMERS = [f"customer-{number}" for number in range(10_000)]

Fields = Mapping[str, Any]


def experiment(name: str = "order", **fields: object) -> dict[str, Any]:
    """Half of the customers see popularity, half the meta-model."""
    popular, meta = resized([(), ()], [5_000, 5_000])
    return {
        "name": name,
        "layer": "ranking",
        "salt": f"{name}-salt",
        "starts_at": START,
        "ends_at": END,
        "control": "popular",
        "variants": [
            {"name": "popular", "buckets": popular, "policy": {"order_by": "popularity"}},
            {"name": "meta", "buckets": meta, "policy": {"order_by": "meta"}},
        ],
        **fields,
    }


def plan(*experiments: Fields, **fields: object) -> Plan:
    layers = [{"name": "ranking", "salt": "L1"}, {"name": "mixing", "salt": "L2"}]
    return Plan.model_validate({"layers": layers, "experiments": experiments, **fields})


def visit(customer: str | None = "c1", **fields: Any) -> Visit:  # noqa: ANN401 - any of its fields
    units = {} if customer is None else {Unit.CUSTOMER: customer}
    return replace(Visit(NOW, units), **fields)


def seen(by: Plan, customer: str, **fields: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    return tuple(
        f"{one.experiment}:{one.variant}" for one in by.route(visit(customer, **fields)).assignments
    )


def traffic(start: int, stop: int) -> list[dict[str, int]]:
    return [{"start": start, "stop": stop}]


def diversity(name: str = "mix", **fields: object) -> dict[str, Any]:
    off, on = resized([(), ()], [5_000, 5_000])
    variants = [
        {"name": "off", "buckets": off, "policy": {"diversity": 0.0}},
        {"name": "on", "buckets": on, "policy": {"diversity": 0.3}},
    ]
    mixing: dict[str, Any] = {"layer": "mixing", "control": "off", "variants": variants}
    return experiment(name, **(mixing | fields))


def test_the_variant_decides_the_policy_and_the_rest_stays() -> None:
    shop = plan(experiment(), default={"diversity": 0.2})
    policies = {
        route.assignments[0].variant: route.policy
        for route in (shop.route(visit(customer)) for customer in CUSTOMERS[:50])
    }

    assert {name: policy.order_by for name, policy in policies.items()} == {
        "popular": "popularity",
        "meta": "meta",
    }
    assert {policy.diversity for policy in policies.values()} == {0.2}


def test_shares_come_out_within_five_standard_errors() -> None:
    shop = plan(experiment())
    counts = Counter(seen(shop, customer) for customer in CUSTOMERS)

    assert abs(counts["order:meta",] - 5_000) < 5 * 50


def test_experiments_of_a_layer_exclude_each_other() -> None:
    shop = plan(
        experiment("first", traffic=traffic(0, 3_000)),
        experiment("second", traffic=traffic(3_000, 5_000)),
    )
    counts = Counter(tuple(one.split(":")[0] for one in seen(shop, c)) for c in CUSTOMERS)

    assert set(counts) == {(), ("first",), ("second",)}
    assert abs(counts["first",] - 3_000) < 5 * 46
    assert abs(counts["second",] - 2_000) < 5 * 40


def test_layers_are_independent() -> None:
    shop = plan(experiment(), diversity())
    counts = Counter(seen(shop, customer) for customer in CUSTOMERS)

    assert len(counts) == 4
    assert all(abs(count - 2_500) < 5 * 44 for count in counts.values())


@pytest.mark.parametrize(
    ("moment", "takes_part"),
    [(START - timedelta(microseconds=1), False), (START, True), (END, False)],
)
def test_an_experiment_runs_from_its_start_to_before_its_end(
    moment: datetime, *, takes_part: bool
) -> None:
    assert bool(seen(plan(experiment()), "c1", now=moment)) is takes_part


@pytest.mark.parametrize(
    ("audience", "takes_part"),
    [
        ({"markets": ["fr"]}, True),
        ({"markets": ["de"]}, False),
        ({"devices": ["mobile"]}, False),
        ({"visitors": "new"}, False),
        ({"visitors": "returning"}, True),
    ],
)
def test_an_experiment_reaches_its_audience_only(
    audience: Mapping[str, object], *, takes_part: bool
) -> None:
    shop = plan(experiment(audience=audience))

    assert bool(seen(shop, "c1", market="fr", device="desktop", is_new=False)) is takes_part


@pytest.mark.parametrize("visitors", ["new", "returning"])
def test_of_whom_nothing_can_be_known_nobody_says_new_or_returning(visitors: str) -> None:
    """While the store is unavailable, a guess would mix new and returning customers."""
    shop = plan(experiment(audience={"visitors": visitors}))

    assert not seen(shop, "c1", is_new=None)


def test_a_unit_that_is_not_named_takes_no_part() -> None:
    sessions = [{"name": "ranking", "salt": "L1", "unit": "session"}]
    shop = plan(experiment(), layers=sessions)

    assert not shop.route(visit("c1")).assignments
    named = visit(None, units={Unit.SESSION: "s1"})
    assert shop.route(named).assignments[0].unit is Unit.SESSION


def test_held_out_customers_see_the_default_and_no_experiment() -> None:
    shop = plan(experiment(), diversity(), holdout={"salt": "H", "share_bp": 1_000})
    counts = Counter(seen(shop, customer) for customer in CUSTOMERS)

    assert abs(counts[f"{HOLDOUT}:{HOLDOUT}",] - 1_000) < 5 * 30
    assert all(len(names) == 2 for names in counts if HOLDOUT not in names[0])


def test_another_platform_may_force_a_variant_and_that_is_told() -> None:
    shop = plan(
        experiment("first", traffic=traffic(0, 5_000)),
        experiment("second", traffic=traffic(5_000, BUCKETS)),
    )
    for customer in CUSTOMERS[:20]:
        route = shop.route(visit(customer, forced={"second": "meta"}))
        assert [(one.experiment, one.variant, one.is_forced) for one in route.assignments] == [
            ("second", "meta", True)
        ]


def test_two_forced_variants_must_not_exclude_each_other() -> None:
    """No unit is ever in two experiments of a layer: such an answer would say nothing of any."""
    first = experiment("first", traffic=traffic(0, 5_000))
    second = experiment("second", traffic=traffic(5_000, BUCKETS))
    forced = {"second": "meta", "first": "popular"}

    with pytest.raises(ExclusiveVariantsError, match=r"first and second .* in layer ranking"):
        plan(first, second).route(visit(forced=forced))
    both = plan(first, diversity()).route(visit(forced={"first": "meta", "mix": "on"}))
    assert [one.is_forced for one in both.assignments] == [True, True]


@pytest.mark.parametrize("forced", [{"order": "best"}, {"other": "meta"}])
def test_a_forced_variant_must_exist(forced: Mapping[str, str]) -> None:
    with pytest.raises(UnknownVariantError, match="no running experiment"):
        plan(experiment()).route(visit(forced=forced))


def test_growing_a_share_moves_units_into_the_grown_variant_only() -> None:
    small = Experiment.model_validate(experiment())
    large = with_shares(small, {"popular": 4_000, "meta": 6_000})
    before, after = plan(small.model_dump()), plan(large.model_dump())

    moved = [c for c in CUSTOMERS if seen(before, c) != seen(after, c)]

    assert {seen(after, customer) for customer in moved} == {("order:meta",)}
    assert abs(len(moved) - 1_000) < 5 * 30


@pytest.mark.parametrize(
    ("experiments", "reason"),
    [
        ([experiment(), experiment()], "experiments must be distinct"),
        ([experiment(salt="L1")], "experiment order has the salt 'L1' of layer"),
        ([experiment(layer="none")], "layer 'none', which the plan lacks"),
        ([experiment("a"), experiment("b")], "both take bucket 0"),
        ([experiment("a"), diversity("b", variants=experiment()["variants"], control="meta")],
         "different layers both change order_by"),
        ([experiment(control="none")], "control 'none' is no variant"),
        ([experiment(ends_at=START)], "must end after its start"),
        ([experiment(name=HOLDOUT)], "experiments must be distinct"),
    ],
)  # fmt: skip
def test_a_plan_that_contradicts_itself_is_refused(experiments: list[Fields], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        plan(*experiments)


def test_experiments_may_follow_each_other_on_the_same_traffic() -> None:
    later = experiment("b", starts_at=END, ends_at=None)

    assert len(plan(experiment("a"), later).experiments) == 2


def test_shares_that_leave_buckets_empty_or_share_them_are_refused() -> None:
    first, second = resized([(), ()], [5_000, 4_999])
    variants = [{"name": "popular", "buckets": first}, {"name": "meta", "buckets": second}]

    with pytest.raises(ValidationError, match="must sum to 10000, got 9999"):
        plan(experiment(variants=variants))
    variants[1]["buckets"] = first
    with pytest.raises(ValidationError, match="popular and meta both hold bucket 0"):
        plan(experiment(variants=variants))
