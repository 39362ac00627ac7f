"""The way of a promotion: one step at a time, by rules, with every figure kept."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.experiments.analysis.interleaving import InterleavingResults
from models.experiments.analysis.preference import Preference, preference_interval
from models.experiments.analysis.sample_ratio import sample_ratio
from models.experiments.plan.bucketing import bucket
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Plan, Visit
from models.experiments.plan.plan_edit import ExperimentDraft, PlanDraft, with_experiment
from models.promotion.canary_plan import LAYER, with_canary, with_interleaving, with_its_experiments
from models.promotion.count import CANDIDATE, SERVING, ShadowCounts
from models.promotion.estimate import OffPolicyEstimate
from models.promotion.promotion import Evidence, Promotion, Stage
from models.slate.slate_policy import SlatePolicy
from tests.plans import terms
from tests.promotions import RULES, begun, evidence
from tests.trials import START

HOUR = timedelta(hours=1)
CUSTOMERS = [f"c{number}" for number in range(3_000)]

GOOD_SHADOW = ShadowCounts(
    scored=10,
    serving_us=10,
    candidate_us=10,
    shown=100,
    shared=90,
    serving_ppm=100,
    candidate_ppm=100,
    serving_cells=100,
    candidate_cells=100,
).named()


def stepped(promotion: Promotion, known: Evidence, *, hours: float = 2.0) -> Promotion:
    after = promotion.stepped(known, now=promotion.since + hours * HOUR, who="w1")
    assert after is not None, promotion.findings(known, promotion.since + hours * HOUR)
    return after


def in_interleaving() -> Promotion:
    known = evidence(counts=GOOD_SHADOW)
    return stepped(stepped(begun(), known), known)


def in_canary() -> Promotion:
    return stepped(in_interleaving(), evidence(counts=GOOD_SHADOW), hours=48.1)


def test_a_promotion_begins_in_shadow() -> None:
    promotion = begun()

    assert (promotion.stage, promotion.share_bp, promotion.is_settled) == (Stage.SHADOW, 0, False)
    assert [one.reason for one in promotion.decisions] == ["begun"]


def test_rules_that_hold_lead_to_the_next_stage_and_are_kept_with_their_figures() -> None:
    known = evidence(counts=GOOD_SHADOW)
    shadow = begun().settled()

    estimate = stepped(shadow, known)
    shared = stepped(estimate, known)
    canary = stepped(shared, known, hours=48.1)

    assert (estimate.stage, canary.stage, canary.share_bp) == (Stage.ESTIMATE, Stage.CANARY, 100)
    assert (shared.stage, shared.share_bp) == (Stage.INTERLEAVING, 300)
    assert not canary.is_settled
    assert [one.reason for one in shared.decisions[1:]] == [
        "every rule holds",
        "no support, so the rule says canary: none was submitted, and none is awaited: 0.0% of "
        "answers are drawn by chance, below 10.0%",
    ]
    last = estimate.decisions[-1]
    assert (last.before, last.stage, last.who, last.at) == (
        Stage.SHADOW,
        Stage.ESTIMATE,
        "w1",
        START + 2 * HOUR,
    )
    assert {one.rule: one.found for one in last.findings}["min_overlap"] == 0.9


def test_open_rules_wait() -> None:
    assert begun().stepped(evidence(), now=START + HOUR, who="w1") is None


def test_what_is_undecided_for_too_long_is_stopped() -> None:
    late = stepped(begun(), evidence(), hours=RULES.shadow.max_hours + 0.1)

    assert late.stage is Stage.STOPPED
    assert "undecided after 72.1 of 72 hours: 0 of 10 answers" in late.decisions[-1].reason


def test_a_candidate_that_no_worker_can_load_is_stopped_at_once_with_the_reason_alone() -> None:
    missing = evidence(unloaded="no bundle 'b2' in /bundles: copy it there, under its own name")

    stopped = stepped(begun(), missing, hours=0.001)

    assert stopped.stage is Stage.STOPPED
    assert stopped.decisions[-1].reason == (
        "no worker can load the candidate: no bundle 'b2' in /bundles: copy it there, under its own"
        " name"
    )


def test_what_is_not_known_does_not_read_as_found() -> None:
    said = [one.said for one in begun().findings(evidence(), START + HOUR)]

    assert "max_slower is not known yet (at most 50.0%)" in said


def test_a_breached_rule_stops_with_its_reason_and_all_figures() -> None:
    counts = GOOD_SHADOW | {"shadow.shared": 5}

    stopped = stepped(begun(), evidence(counts=counts))

    assert (stopped.stage, stopped.share_bp) == (Stage.STOPPED, 0)
    assert stopped.decisions[-1].reason == (
        "5.0% of sales shown are its own too, at least 20.0% must be"
    )
    assert len(stopped.decisions[-1].findings) > 5


def test_another_activation_stops_a_promotion() -> None:
    stopped = stepped(begun(), evidence(serving="b9", counts=GOOD_SHADOW))

    assert stopped.decisions[-1].reason == "bundle b9 was activated instead of b1"


def test_a_share_is_kept_for_its_hours() -> None:
    canary = in_canary()

    assert canary.stepped(evidence(), now=canary.since + 0.9 * HOUR, who="w1") is None


def test_with_chance_in_the_answers_an_estimate_is_waited_for() -> None:
    known = evidence(counts=GOOD_SHADOW, drawn_share=1.0)
    waiting = stepped(begun(), known)
    refused = OffPolicyEstimate(bundle="b2", refusal="too few")

    assert waiting.stepped(known, now=START + 3 * HOUR, who="w1") is None
    assert stepped(waiting.with_estimate(refused), known).stage is Stage.INTERLEAVING


def preferred(for_candidate: int, for_serving: int, **fields: object) -> InterleavingResults:
    """Results of an interleaving in which so many customers preferred each bundle."""
    n = for_candidate + for_serving
    one = Preference(
        metric="overall",
        for_second=for_candidate,
        for_first=for_serving,
        tied=0,
        preference=preference_interval(for_candidate, for_serving, planned_units=1_000),
        safe_p_value=1.0,
        looks=(),
    )
    return InterleavingResults.model_validate(
        {
            **{"experiment": "promotion-1-interleaving", "unit": "customer", "rules": {}},
            **{"first": SERVING, "second": CANDIDATE, "starts_at": START, "until": START},
            **{"verdict": "", "left_out": {}, "answers": n, "analysed": n, "contested": 1.0},
            "teams": [
                {"name": name, "places": n, "clicks": n, "purchases": 0, "revenue": 0.0}
                for name in (SERVING, CANDIDATE)
            ],
            "coins": sample_ratio({SERVING: n, CANDIDATE: n}, {SERVING: 1, CANDIDATE: 1}),
            "preferences": [one],
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("for_candidate", "for_serving", "follows"),
    [
        (300, 300, None),  # 3.08 / sqrt(600) is 0.126: not below -0.2
        (30, 30, "open"),  # 4.1 / sqrt(60) is 0.53
        (150, 300, "stopped"),  # -0.33, and 0.15 on each side
        (300, 150, None),
    ],
)
def test_what_customers_prefer_decides_an_interleaving(
    for_candidate: int, for_serving: int, follows: str | None
) -> None:
    shared, found = in_interleaving(), preferred(for_candidate, for_serving)
    after = shared.stepped(evidence(interleaved=found), now=shared.since + 2 * HOUR, who="w1")

    if follows == "open":
        assert after is None
        return
    assert after is not None
    assert after.stage is (Stage.STOPPED if follows else Stage.CANARY)
    if follows:
        assert after.decisions[-1].reason.startswith(
            f"{for_candidate} of 450 customers prefer it by overall: -33.3% ("
        )


def test_a_preference_is_waited_for_at_least_and_at_most() -> None:
    """What customers cannot decide, the canary does: both may order alike."""
    shared, known = in_interleaving(), evidence(interleaved=preferred(300, 300))
    undecided = evidence(interleaved=preferred(0, 0))

    assert shared.stepped(known, now=shared.since + 0.9 * HOUR, who="w1") is None
    assert shared.stepped(undecided, now=shared.since + 47.9 * HOUR, who="w1") is None
    late = stepped(shared, undecided, hours=48.1)
    assert late.stage is Stage.CANARY
    said = {one.rule: one.said for one in late.decisions[-1].findings}["overall"]
    assert said == (
        "0 of 0 customers prefer it by overall, and it goes on above -20.0% for certain; "
        "undecided after 2 days, the canary decides"
    )


def test_a_worse_candidate_is_stopped_however_late() -> None:
    worse = evidence(interleaved=preferred(150, 300))

    assert stepped(in_interleaving(), worse, hours=48.1).stage is Stage.STOPPED


def test_a_candidate_that_is_a_little_worse_for_certain_is_stopped_by_the_rule_that_it_names() -> (
    None
):
    """-5%, and 4.4 / sqrt(20,000) or 3.1 points on each side: all above -20%, and below 0."""
    stopped = stepped(in_interleaving(), evidence(interleaved=preferred(9_500, 10_500)))

    assert stopped.stage is Stage.STOPPED
    finding = {one.rule: one for one in stopped.decisions[-1].findings}["overall"]
    assert (finding.state, finding.limit) == ("breached", 0.0)
    assert finding.said.endswith(", and it is stopped below 0% for certain")


def test_without_room_for_an_interleaving_the_canary_begins_at_its_first_share() -> None:
    followed = in_interleaving().without_interleaving("no room", at=START + HOUR, who="w1")

    assert (followed.stage, followed.share_bp, followed.is_settled) == (Stage.CANARY, 100, False)
    assert followed.decisions[-1].reason == "no interleaving: no room"


def test_a_candidate_that_cannot_share_slates_is_stopped_without_any_sale() -> None:
    """Six of the first 500 answers are more than a hundredth, however the others end."""
    shared = in_interleaving()
    failing = {"interleaved.answers": 20, "interleaved.degraded": 6}
    enough = {"interleaved.answers": 601, "interleaved.degraded": 6}

    stopped = stepped(shared, evidence(counts=failing))
    assert stopped.decisions[-1].reason == "it failed in 6 of 500 slates, at most 1.0% may"
    assert shared.stepped(evidence(counts=enough), now=shared.since + 2 * HOUR, who="w1") is None


def test_coins_that_are_no_chance_stop_an_interleaving() -> None:
    unfair = sample_ratio({SERVING: 100, CANDIDATE: 0}, {SERVING: 1, CANDIDATE: 1})
    known = evidence(interleaved=preferred(300, 300, coins=unfair))

    stopped = stepped(in_interleaving(), known)

    assert [one.rule for one in stopped.decisions[-1].findings if one.state == "breached"] == [
        "coins"
    ]


def test_the_interleaving_shares_slates_of_its_share_and_ends_with_the_canary() -> None:
    promotion = in_interleaving()
    plan = with_interleaving(Plan(), promotion, now=START)

    routes = [plan.route(Visit(START, {Unit.CUSTOMER: one})) for one in CUSTOMERS]
    rivals = {one.interleaving.policy.bundle for one in routes if one.interleaving}
    n, p = len(CUSTOMERS), 0.03
    seen = sum(one.interleaving is not None for one in routes)
    after = with_canary(plan, promotion, share_bp=100, now=START + HOUR)

    assert rivals == {"b2"}
    assert abs(seen - n * p) < 5 * (n * p * (1 - p)) ** 0.5
    assert all(one.policy.bundle is None for one in routes)
    names = [(one.name, one.ends_at) for one in after.experiments]
    assert names == [("promotion-1-interleaving", START + HOUR), ("promotion-1", None)]
    # The canary grows, and the results of the interleaving stay as they are.
    grown = with_canary(after, promotion, share_bp=1_000, now=START + 2 * HOUR)
    assert [(one.name, one.ends_at) for one in grown.experiments] == names
    following = with_interleaving(grown, begun(2), now=START + 3 * HOUR)
    assert [one.name for one in following.experiments] == ["promotion-2-interleaving"]


def test_each_experiment_is_read_by_the_rules_of_its_stage() -> None:
    promotion = begun(7)

    shared = with_interleaving(Plan(), promotion, now=START)
    plan = with_canary(shared, promotion, share_bp=100, now=START + HOUR)

    read_by = [one.read_by for one in plan.experiments]
    assert read_by == [RULES.interleaving.results, RULES.canary.results]


def test_nothing_follows_what_is_over() -> None:
    stopped = begun().stopped("enough", at=START, who="key k1")

    assert stopped.stepped(evidence(serving="b9"), now=START + 999 * HOUR, who="w1") is None
    assert stopped.findings(evidence(), START) == ()


def test_a_promotion_is_read_as_it_was_written() -> None:
    canary = in_canary().with_estimate(OffPolicyEstimate(bundle="b2", refusal="too few"))

    assert Promotion.model_validate_json(canary.model_dump_json()) == canary


@given(st.lists(st.sampled_from(["wait", "good", "bad", "late", "by hand"]), max_size=12))
def test_stages_only_follow_each_other_and_customers_see_it_only_in_experiments(
    course: list[str],
) -> None:
    """In any case: shadow, estimate, interleaving, canary, and no step without a decision."""
    promotion = begun()
    for event in course:
        before = promotion
        after = promotion.stepped(
            _known(event), now=promotion.since + _hours(event) * HOUR, who="w1"
        )
        if after is None:
            continue
        promotion = after
        assert len(after.decisions) == len(before.decisions) + 1
        assert (after.decisions[-1].before, after.decisions[-1].stage) == (
            before.stage,
            after.stage,
        )
        assert (after.share_bp > 0) == (after.stage in {Stage.INTERLEAVING, Stage.CANARY})

    stages = [one.stage for one in promotion.decisions]
    order = [Stage.SHADOW, Stage.ESTIMATE, Stage.INTERLEAVING, Stage.CANARY, Stage.STOPPED]
    assert stages == order[: len(stages)] or (
        stages[-1] is Stage.STOPPED and stages[:-1] == order[: len(stages) - 1]
    )
    assert Stage.FULL not in stages  # no side sold anything


def _known(event: str) -> Evidence:
    if event == "wait":
        return evidence()
    counts = GOOD_SHADOW | ({"shadow.failed": 9} if event == "bad" else {})
    return evidence(counts=counts, undone="its shadow was ended" if event == "by hand" else "")


def _hours(event: str) -> int:
    return 10_000 if event == "late" else 2


def who_sees(plan: Plan, customers: Iterable[str] = CUSTOMERS) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for customer in customers:
        route = plan.route(Visit(START + HOUR, {Unit.CUSTOMER: customer}))
        found[customer] = route.policy.bundle
    return found


def test_a_larger_share_moves_only_those_that_must() -> None:
    """No customer who sees the candidate loses it, and none changes sides."""
    promotion, plan = begun(), Plan()
    before: dict[str, str | None] = dict.fromkeys(CUSTOMERS)
    sides: dict[str, str] = {}
    for share in (100, 1_000, 5_000):
        plan = with_canary(plan, promotion, share_bp=share, now=START)
        after = who_sees(plan)

        assert all(after[one] == "b2" for one, bundle in before.items() if bundle == "b2")
        n, p = len(CUSTOMERS), share / 10_000
        seen = sum(bundle == "b2" for bundle in after.values())
        assert abs(seen - n * p) < 5 * (n * p * (1 - p)) ** 0.5
        for customer in CUSTOMERS:
            visit = Visit(START + HOUR, {Unit.CUSTOMER: customer})
            for one in plan.route(visit).assignments:
                assert sides.setdefault(customer, one.variant) == one.variant
        before = after
    assert len(sides) == len(CUSTOMERS)


def test_every_promotion_begins_with_other_customers() -> None:
    seen: list[set[str]] = []
    for number in (1, 2):
        plan = with_canary(Plan(), begun(number), share_bp=1_000, now=START)
        seen.append({one for one, bundle in who_sees(plan).items() if bundle})

    # Independent deals: a tenth of a tenth of 3,000 are in both, give or take 5.4.
    assert abs(len(seen[0] & seen[1]) - 30) < 5 * 5.4


def test_an_earlier_canary_leaves_the_plan_and_other_experiments_stay() -> None:
    order = {"name": "order", **terms()}
    plan = Plan.model_validate({"layers": [{"name": "home", "salt": "home-1"}]})
    plan = with_experiment(plan, ExperimentDraft.model_validate(order))
    for number in (1, 2):
        plan = with_canary(plan, begun(number), share_bp=100, now=START)

    assert [one.name for one in plan.experiments] == ["order", "promotion-2"]
    assert [one.name for one in plan.layers] == ["home", LAYER]


def test_an_experiment_on_bundles_in_another_layer_keeps_a_canary_away() -> None:
    policies = [{"name": "popularity", "share_bp": 10_000, "policy": {"bundle": "b9"}}]
    order = {"name": "order", **terms(variants=policies)}
    plan = Plan.model_validate({"layers": [{"name": "home", "salt": "home-1"}]})
    plan = with_experiment(plan, ExperimentDraft.model_validate(order))

    with pytest.raises(ValueError, match="both change bundle: put them into one layer"):
        with_canary(plan, begun(), share_bp=100, now=START)


def test_a_plan_whose_default_names_a_bundle_has_no_canary() -> None:
    plan = Plan(default=SlatePolicy(bundle="b1"))

    with pytest.raises(ValueError, match="remove it from the default first"):
        with_canary(plan, begun(), share_bp=100, now=START)


def test_the_traffic_of_a_canary_has_a_salt_of_its_own() -> None:
    """Else whoever is in the traffic would all be on one side."""
    plan = with_canary(Plan(), begun(), share_bp=5_000, now=START)

    salts = {plan.layers[0].salt, plan.experiments[0].salt}
    assert len({bucket("c1", salt) for salt in salts}) == 2


def test_a_plan_from_a_file_keeps_the_canary_that_runs() -> None:
    before = with_canary(Plan(), begun(), share_bp=1_000, now=START)
    order = {"name": "order", **terms()}
    home = {"name": "home", "salt": "home-1"}
    draft = PlanDraft.model_validate({"layers": [home], "experiments": [order]})

    after = with_its_experiments(draft, before).to_plan(before)

    assert [one.name for one in after.experiments] == ["order", "promotion-1"]
    assert after.experiments[1] == before.experiments[0]
    assert who_sees(after) == who_sees(before)
    assert with_its_experiments(draft, Plan()) is draft
