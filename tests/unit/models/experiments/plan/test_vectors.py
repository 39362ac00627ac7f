"""The vectors of the documentation, by which other languages check their hash and their deal."""

import json
import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pytest

from models.experiments.plan.bucketing import bucket
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Plan, Visit
from models.experiments.plan.plan_edit import PlanDraft
from tests.plans import with_shares
from tests.proofs import ROOT

PAGE = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
VECTOR = re.compile(r"^\| `([^`]*)` \| `([^`]*)` \| (\d+) \|$", re.MULTILINE)
DEAL = re.compile(
    r"^\| `([^`]*)` \| (\d+) \| (\d+) \| (\w*) ?\| (\d*) ?\| (\w*) ?\| (\w*) ?\|$", re.MULTILINE
)
DEALS = DEAL.findall(PAGE)
GROWN = {"order": {"popularity": 4_000, "meta": 6_000}}
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def documented() -> dict[str, Any]:
    """The plan whose deal the documentation tells."""
    return json.loads(PAGE.split("```json\n", 1)[1].split("```", 1)[0])


def hashed(salt: str, unit: str) -> int:
    """What the documentation says of the hash, in the words of the standard library alone."""
    digest = blake2b(salt.encode() + b"\x1f" + unit.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:8], "big") % 10_000


def assigned(terms: dict[str, Any], unit: str) -> tuple[str, str]:
    """What the documentation says of holdout, layer, traffic and variants, with loops alone."""
    if hashed(terms["holdout"]["salt"], unit) < terms["holdout"]["share_bp"]:
        return "holdout", "holdout"
    left = hashed(terms["layers"][0]["salt"], unit)
    for experiment in terms["experiments"]:
        if left < experiment["traffic_bp"]:
            own = hashed(experiment["salt"], unit)
            for variant in experiment["variants"]:
                if own < variant["share_bp"]:
                    return experiment["name"], variant["name"]
                own -= variant["share_bp"]
        left -= experiment["traffic_bp"]
    return "", ""


def routed(plan: Plan, unit: str) -> tuple[str, str]:
    assignments = plan.route(Visit(NOW, {Unit.CUSTOMER: unit})).assignments
    return (assignments[0].experiment, assignments[0].variant) if assignments else ("", "")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Give the documented plan, with what it leaves out."""
    terms = documented()
    for experiment in terms["experiments"]:
        experiment["starts_at"] = "2026-01-01T00:00:00Z"
        experiment["control"] = experiment["variants"][0]["name"]
    return PlanDraft.model_validate(terms).to_plan(Plan())


def test_the_vectors_of_the_documentation_are_those_of_the_hash() -> None:
    vectors = [(salt, unit, int(number)) for salt, unit, number in VECTOR.findall(PAGE)]

    assert len(vectors) == 10
    assert [bucket(unit, salt) for salt, unit, _ in vectors] == [number for *_, number in vectors]
    assert [hashed(salt, unit) for salt, unit, _ in vectors] == [number for *_, number in vectors]
    assert any(not unit.isascii() for _, unit, _ in vectors)


def test_the_vectors_of_the_documentation_are_those_of_the_deal(plan: Plan) -> None:
    found = [(experiment, variant) for _, _, _, experiment, _, variant, _ in DEALS]

    assert len(found) == 8
    assert {experiment for experiment, _ in found} == {"order", "mix", "holdout", ""}
    assert [assigned(documented(), unit) for unit, *_ in DEALS] == found
    assert [routed(plan, unit) for unit, *_ in DEALS] == found
    salts = {one["name"]: one["salt"] for one in documented()["experiments"]}
    for unit, held, home, experiment, own, *_ in DEALS:
        assert (hashed("held-1", unit), hashed("home-1", unit)) == (int(held), int(home))
        assert not own or hashed(salts[experiment], unit) == int(own)


def test_any_unit_is_dealt_as_the_documentation_says(plan: Plan) -> None:
    terms = documented()
    units = [f"unit-{number}" for number in range(2_000)]

    assert [routed(plan, unit) for unit in units] == [assigned(terms, unit) for unit in units]


def test_a_grown_share_moves_who_the_documentation_says(plan: Plan) -> None:
    grown = [
        with_shares(one, GROWN[one.name]) if one.name in GROWN else one for one in plan.experiments
    ]
    after = Plan.model_validate({**dict(plan), "experiments": grown})

    assert [routed(after, unit)[1] for unit, *_ in DEALS] == [later for *_, later in DEALS]
    assert {variant for *_, variant, later in DEALS if variant != later} == {"meta"}
