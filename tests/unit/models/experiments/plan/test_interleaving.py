"""Interleaving experiments: whose slates two variants share, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.experiments.plan.difference import changes
from models.experiments.plan.experiment import INTERLEAVED, Experiment, Unit
from models.experiments.plan.plan import (
    Assignment,
    ExclusiveVariantsError,
    Plan,
    Route,
    UnknownVariantError,
    Visit,
)
from models.experiments.plan.plan_edit import ExperimentDraft, PlanDraft, with_experiment
from tests.plans import LAYER, START, terms

TEAMS: list[dict[str, Any]] = [
    {"name": "serving", "policy": {"diversity": 0.3}},
    {"name": "candidate", "policy": {"bundle": "b2"}},
]
CUSTOMERS = [f"c{number}" for number in range(2_000)]


def draft(name: str = "both", **fields: object) -> ExperimentDraft:
    """A fifth of the customers see both variants in one slate."""
    mixed: dict[str, Any] = {"kind": "interleaving", "control": "serving", "variants": TEAMS}
    return ExperimentDraft.model_validate(
        {"name": name, **terms(), **mixed, "traffic_bp": 2_000, **fields}
    )


def plan(*drafts: ExperimentDraft, **fields: object) -> Plan:
    found = Plan.model_validate({"layers": [LAYER], **fields})
    for one in drafts:
        found = with_experiment(found, one)
    return found


def route(by: Plan, customer: str, **forced: str) -> Route:
    return by.route(Visit(START, {Unit.CUSTOMER: customer}, forced=forced))


def test_a_share_of_customers_sees_both_policies_and_the_others_the_default() -> None:
    shop = plan(draft(), default={"order_by": "content", "diversity": 0.1})

    routes = [route(shop, customer) for customer in CUSTOMERS]

    shared = [one for one in routes if one.interleaving is not None]
    n, p = len(CUSTOMERS), 0.2
    assert abs(len(shared) - n * p) < 5 * (n * p * (1 - p)) ** 0.5
    for one in shared:
        assert one.interleaving is not None
        names = one.interleaving.experiment, one.interleaving.first, one.interleaving.second
        assert names == ("both", "serving", "candidate")
        assert (one.policy.bundle, one.policy.diversity) == (None, 0.3)
        # What the control changes is not the rival's.
        rival = one.interleaving.policy
        assert (rival.bundle, rival.diversity, rival.order_by) == ("b2", 0.1, "content")
        assert [each.variant for each in one.assignments] == [INTERLEAVED]
    assert all(one.policy == shop.default for one in routes if one.interleaving is None)


def test_the_assignment_is_that_of_every_answer_of_the_customer() -> None:
    shop = plan(draft(traffic_bp=10_000))

    first = route(shop, "c1")

    assert first.assignments == (Assignment("both", INTERLEAVED, Unit.CUSTOMER, "c1", 10_000),)
    assert route(shop, "c1") == first


def test_other_experiments_change_both_policies() -> None:
    shares = [{"name": "on", "share_bp": 10_000, "policy": {"order_by": "popularity"}}]
    other = ExperimentDraft.model_validate(
        {"name": "order", **terms(layer="order", control="on", variants=shares)}
    )
    layers = [LAYER, {"name": "order", "salt": "order-2"}]
    shop = plan(draft(salt="both-1", traffic_bp=10_000), other, layers=layers)

    found = route(shop, "c1")

    assert found.interleaving is not None
    assert (found.policy.order_by, found.policy.diversity) == ("popularity", 0.3)
    assert (found.interleaving.policy.order_by, found.interleaving.policy.bundle) == (
        "popularity",
        "b2",
    )


def test_interleaved_slates_do_not_explore() -> None:
    shop = plan(draft(traffic_bp=10_000), default={"exploration": {"kind": "new_sales"}})

    found = route(shop, "c1")

    assert found.interleaving is not None
    assert (found.policy.exploration, found.interleaving.policy.exploration) == (None, None)
    assert shop.default.exploration is not None


def test_one_variant_alone_can_be_forced_and_so_can_both() -> None:
    shop = plan(draft())

    alone, both = route(shop, "c1", both="candidate"), route(shop, "c1", both=INTERLEAVED)

    assert (alone.policy.bundle, alone.interleaving) == ("b2", None)
    assert both.interleaving is not None
    assert [one.is_forced for one in (*alone.assignments, *both.assignments)] == [True, True]
    with pytest.raises(UnknownVariantError, match="'both' has a variant 'third'"):
        route(shop, "c1", both="third")


def test_a_held_out_customer_sees_one_policy() -> None:
    shop = plan(draft(traffic_bp=10_000), holdout={"salt": "held", "share_bp": 9_999})

    assert route(shop, "c1").interleaving is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"variants": TEAMS[:1]}, "both interleaves two variants, got 1"),
        ({"variants": [*TEAMS, {"name": "third"}]}, "both interleaves two variants, got 3"),
        (
            {"variants": [TEAMS[0], {"name": INTERLEAVED}]},
            "both cannot name a variant 'interleaved'",
        ),
        (
            {"variants": [TEAMS[0], {"name": "own", "policy": {"exploration": None}}]},
            "variant own of both changes exploration",
        ),
    ],
)
def test_what_cannot_be_interleaved_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        plan(draft(**fields))


def test_variants_of_an_interleaving_have_no_share_of_customers() -> None:
    shares = [one | {"share_bp": 5_000} for one in TEAMS]
    whole = [{"start": 0, "stop": 10_000}]

    with pytest.raises(ValidationError, match="serving needs neither share_bp nor buckets"):
        draft(variants=shares)
    exact = plan(draft()).experiments[0].model_dump()
    exact["variants"][0]["buckets"] = whole
    with pytest.raises(ValidationError, match="serving of both has buckets"):
        Experiment.model_validate(exact)
    with pytest.raises(ValidationError, match="serving needs either share_bp or buckets"):
        draft(kind="ab")


def test_two_interleavings_at_once_exclude_each_other() -> None:
    layers = [LAYER, {"name": "other", "salt": "other-1"}]
    by_order = [{"name": name, "policy": {"order_by": name}} for name in ("popularity", "meta")]
    second = draft("orders", layer="other", salt="o", variants=by_order, control="meta")

    with pytest.raises(ValueError, match="both and orders both interleave at the same time"):
        plan(draft(), second, layers=layers)
    forced = plan(draft(), draft("orders", salt="o", variants=by_order, control="meta"))
    with pytest.raises(ExclusiveVariantsError):
        route(forced, "c1", both=INTERLEAVED, orders=INTERLEAVED)


def test_an_experiment_on_exploration_in_another_layer_is_refused() -> None:
    """Its customers would see slates without it."""
    layers = [LAYER, {"name": "other", "salt": "other-1"}]
    variants = [
        {"name": "off", "share_bp": 5_000},
        {"name": "on", "share_bp": 5_000, "policy": {"exploration": {"kind": "new_sales"}}},
    ]
    explored: dict[str, Any] = {
        "layer": "other",
        "salt": "explored",
        "control": "off",
        "variants": variants,
    }

    with pytest.raises(ValueError, match="both change exploration: put them into one layer"):
        plan(
            draft(),
            ExperimentDraft.model_validate({"name": "e", **terms(**explored)}),
            layers=layers,
        )


def test_it_is_read_as_it_was_written_and_its_kind_is_named_among_changes() -> None:
    shop = plan(draft())

    assert Plan.model_validate_json(shop.to_json()) == shop
    assert PlanDraft.model_validate_json(shop.to_json()).to_plan(shop) == shop
    assert b'"buckets"' not in shop.experiments[0].model_dump_json(exclude_unset=True).encode()
    assert "experiment both, kind: – → interleaving" in changes(Plan(layers=shop.layers), shop)
