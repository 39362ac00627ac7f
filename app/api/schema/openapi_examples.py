"""Examples of the schemas and parameters that do not declare one themselves."""

from typing import Any, Final

from models.promotion.rule import PromotionRules

_FROM: Final = "2026-11-24T09:00:00Z"
_UNTIL: Final = "2026-12-08T09:00:00Z"
_ID: Final = "20261101T000000-5b1f0c9d3a77"

_RANGE: Final = {"start": 0, "stop": 5_000}
_AUDIENCE: Final = {"markets": ["fr"], "devices": None, "visitors": "all"}
_LAYER: Final = {"name": "ranking", "salt": "ranking-2026", "unit": "customer"}
_HOLDOUT: Final = {"salt": "holdout-2026", "share_bp": 100}
_EXPLORATION: Final = {"kind": "new_sales", "slots": 1, "hours": 24.0}
_COVERS: Final = {"temperature": 0.05, "even_share": 0.05}
_POLICY: Final = {"bundle": None, "order_by": "meta", "diversity": 0.0, "exploration": None}
_CHANGE: Final = {"order_by": "meta-revenue"}
_VARIANT: Final = {"name": "by-revenue", "buckets": [{"start": 5_000, "stop": 10_000}]}
_CONTROL: Final = {"name": "as-is", "buckets": [_RANGE]}
_SHARES: Final = [
    {"name": "as-is", "share_bp": 5_000},
    {"name": "by-revenue", "share_bp": 5_000, "policy": _CHANGE},
]
_TIMES: Final = {"starts_at": _FROM, "ends_at": _UNTIL}
_EXPERIMENT: Final = {
    **{"name": "revenue", "layer": "ranking", "salt": "revenue-1", "traffic": [_RANGE]},
    **_TIMES,
    "audience": _AUDIENCE,
    "control": "as-is",
    "variants": [_CONTROL, {**_VARIANT, "policy": _CHANGE}],
}
_TERMS: Final = {
    **{"layer": "ranking", "salt": "revenue-1", "traffic_bp": 5_000},
    **_TIMES,
    "control": "as-is",
    "variants": _SHARES,
    "results": {"window_hours": 168, "planned_units": 20_000},
}
_ASSIGNMENT: Final = {
    **{"experiment": "revenue", "variant": "by-revenue", "unit": "customer"},
    **{"unit_id": "c1", "share_bp": 2_500, "forced": False},
}
_AUDITED: Final = {
    **{"at": _FROM, "who": "k3f9", "doing": "put experiment revenue", "before": 3, "after": 4},
    "changes": ["experiment revenue begins"],
}
_INTERVAL: Final = {"value": 0.021, "low": -0.004, "high": 0.046}
_ACTIONS: Final = {
    "AtLeast": {"kind": "at_least", "n": 2},
    "AtMost": {"kind": "at_most", "n": 3, "per": "destination"},
    "Boost": {"kind": "boost", "odds": 1.5},
    "Exclude": {"kind": "exclude"},
    "Only": {"kind": "only"},
    "Pin": {"kind": "pin", "rank": 1},
    "Share": {"kind": "share", "of": 0.2},
}
_RULE: Final = {
    **{"name": "ski-in-winter", "when": 'market == "fr"'},
    **{"where": 'category == "ski" and price < 500', "action": _ACTIONS["Boost"]},
    "ends_at": _UNTIL,
}
_PLACES: Final = {
    **{"refusal": None, "logged": _INTERVAL, "difference": {"cascade-dr": _INTERVAL}},
}
_LOOK: Final = {"until": _UNTIL, "n_units": 20_412, "lift": _INTERVAL}
_COMPARISON: Final = {
    **{"variant": "by-revenue", "metric": "revenue", "difference": _INTERVAL, "lift": _INTERVAL},
    **{"p_value": 0.1, "no_lift": None, "unadjusted_lift": _INTERVAL},
    "variance_reduction": 0.18,
    **{"safe_lift": _INTERVAL, "safe_p_value": 0.4, "adjusted_p_value": 1.0, "looks": [_LOOK]},
}
_GUARDRAIL: Final = {
    **{"name": "p99_ms", "variant": "by-revenue", "control_value": 31.0, "variant_value": 32.0},
    **{"change": _INTERVAL, "limit": 0.1, "state": "held"},
}
_VERDICT: Final = {
    "outcome": "undecided",
    "text": "The effect of by-revenue on conversion may be chance so far: +2.10% [-0.40%, +4.60%], "
    "safe at every look; no guardrail is breached.",
}
_MISMATCH: Final = {
    **{"observed": {"as-is": 10_180, "by-revenue": 10_232}, "chi_square": 0.13},
    **{"expected": {"as-is": 10_206.0, "by-revenue": 10_206.0}, "p_value": 0.72, "alarm": False},
}
_LATENCY: Final = {"p50_ms": 2.8, "p95_ms": 6.1, "p99_ms": 12.4}
_PRICE: Final = {"answers": 961, "lost_per_1000": 0.8}
_ROW_RESULT: Final = {
    **{"row": "closing-soon", "pages": 4_120, "filled": 3_980, "shown": 19_711},
    **{"clicked": 412, "bought": 17, "click_rate": _INTERVAL},
}
_RESULT: Final = {
    **{"name": "as-is", "share_bp": 2_500, "assigned": 10_180, "exposed": 9_954},
    **{
        "analysed": 9_950,
        "answers": 48_211,
        "metrics": {"revenue": _INTERVAL},
        "largest_revenue_share": 0.02,
        "latency": _LATENCY,
        "exploration": _PRICE,
        "rows": [_ROW_RESULT],
    },
}
_RULES: Final = {
    "window_hours": 24.0,
    "before_days": 28.0,
    "planned_units": 20_000,
    "max_slower": 0.2,
}
_EVENT: Final = {
    **{"event_id": "e1", "customer_id": "c1", "session_id": "v1", "type": "click"},
    **{"sale_id": "s1", "at": _FROM, "exposure_id": "5a1d", "position": 3, "cover": 2},
    "market": "fr",
}
_SALE: Final = {
    **{"sale_id": "s1", "title": "Three nights by the sea", "country": "FR", "category": "hotel"},
    **{"price": 199.0, "original_price": 320.0, "currency": "EUR", "markets": ["fr", "de"]},
    **{"opens_at": _FROM, "closes_at": _UNTIL, "stock": 40, "image": "s1.jpg"},
    "attributes": {"stars": 4.0},
}

_TEAM: Final = {
    **{"name": "as-is", "places": 48_210, "clicks": 1_204, "purchases": 97, "revenue": 11_320.0},
}
_PREFERRED: Final = {"value": 0.18, "low": 0.04, "high": 0.32}
_PREFERENCE_LOOK: Final = {"until": _UNTIL, "n_deciding": 1_000, "preference": _PREFERRED}
_PREFERENCE: Final = {
    **{"metric": "overall", "for_second": 590, "for_first": 410, "tied": 8_120},
    **{"preference": _PREFERRED, "safe_p_value": 0.002},
    "looks": [_PREFERENCE_LOOK],
}

_STAGES: Final = PromotionRules().model_dump(mode="json")
_FINDING: Final = {
    **{"rule": "min_overlap", "found": 0.62, "limit": 0.2, "state": "held"},
    "said": "62.0% of sales shown are its own too, at least 20.0% must be",
}
_BEGUN: Final[dict[str, Any]] = {
    **{"at": _FROM, "who": "key k3f9", "before": None, "stage": "shadow", "share_bp": 0},
    **{"reason": "begun", "findings": []},
}
_DECISION: Final = {
    **{"at": _UNTIL, "who": "web-1-4711", "before": "shadow", "stage": "estimate"},
    **{"share_bp": 0, "reason": "every rule holds", "findings": [_FINDING]},
}
_PROMOTION: Final[dict[str, Any]] = {
    **{"number": 1, "candidate": _ID, "serving": "20261031T000000-0c4e61f7a2b9"},
    **{"rules": _STAGES, "stage": "estimate", "share_bp": 0, "since": _UNTIL, "n_before": 0},
    **{"is_settled": True, "estimate": None, "decisions": [_BEGUN, _DECISION]},
}

_FIGURE: Final = {"value": 0.51, "low": 0.47, "high": 0.55, "n": 312}
_FIGURES: Final = {"meta": {"mrr": _FIGURE}}
_PERIOD: Final = {
    **{"first": "2026-10-01T00:00:00+00:00", "until": "2026-11-01T00:00:00+00:00"},
    **{"n_sales": 1_147, "n_customers": 2_533, "n_lists": 25_837, "n_events": {"click": 16_857}},
    **{"sale_shares": {"picture": 1.0}, "position_share": 1.0},
}
_HELD_OUT: Final = {
    **{"kind": "shown", "first": "2026-10-25T08:00:00+00:00", "last": "2026-10-31T20:00:00+00:00"},
    **{"n_lists": 312, "n_customers": 274, "n_outcomes": 322},
}
_BIN: Final = {"predicted": 0.012, "observed": 0.011}
_CARD: Final = {
    **{"objective": "purchase", "probability_of": "shown_at_position_1", "outcome_hours": 24.0},
    **{"trained_on": _PERIOD, "held_out": _HELD_OUT, "figures": _FIGURES, "differences": {}},
    **{"segments": {"customers: hot": _FIGURES}, "calibration": {"slope": _FIGURE}},
    **{"bins": [_BIN], "importances": {"taste": _FIGURE}},
}
_NIGHT: Final = {
    **{"started_at": "2026-11-01T02:00:00Z", "ended_at": "2026-11-01T02:31:00Z"},
    **{"verdict": "published", "candidate": "20261029T000000-0d7c52e91b44", "champion": _ID},
    "reasons": [f"no measure is significantly worse than {_ID} (open_recall_at_10, shown_mrr)"],
    **{"published": "20261101T000001-77ab3f0c9d52", "awaiting": None},
    **{"judged_from": "2026-10-29T00:00:00Z", "judged_until": "2026-11-01T00:00:00Z"},
    "differences": {"shown_mrr": _FIGURE},
}
EXAMPLES: Final[dict[str, Any]] = {
    "Figure": _FIGURE,
    "HeldOut": _HELD_OUT,
    "ModelCard": _CARD,
    "NightRecord": _NIGHT,
    "NightRecords": {"items": [_NIGHT]},
    "ReliabilityBin": _BIN,
    "TrainingPeriod": _PERIOD,
    "AssignmentAnswer": _ASSIGNMENT,
    **_ACTIONS,
    "SlateRule": _RULE,
    "SlateRules": [_RULE],
    "AssignmentList": {"version": 4, "items": [_ASSIGNMENT]},
    "Audience": _AUDIENCE,
    "AuditAnswer": {"items": [_AUDITED]},
    "BucketRange": _RANGE,
    "CanaryRules": _STAGES["canary"],
    "Comparison": _COMPARISON,
    "Decision": _DECISION,
    "EstimateRules": _STAGES["estimate"],
    "Event": _EVENT,
    "EventResult": {
        **{"index": 0, "event_id": "e1", "status": "rejected", "reason": "too_old"},
        "detail": "at: more than 90 days before the store's clock",
    },
    "Experiment": _EXPERIMENT,
    "ExperimentDraft": {"name": "revenue", **_TERMS},
    "ExperimentList": {"version": 4, "items": [_EXPERIMENT]},
    "ExperimentTerms": _TERMS,
    "FieldProblem": {"location": "query.limit", "detail": "should be at most 100"},
    "Finding": _FINDING,
    "Guardrail": _GUARDRAIL,
    "Holdout": _HOLDOUT,
    "InterleavingRules": _STAGES["interleaving"],
    "InterleavingResults": {
        **{"experiment": "both", "unit": "customer", "first": "as-is", "second": "by-revenue"},
        **{"starts_at": _FROM, "until": _UNTIL, "rules": _RULES},
        "verdict": "Customers prefer by-revenue to as-is: of 1000 who credited one more, 590 "
        "credited by-revenue; preference for by-revenue +18.0% [+4.0%, +32.0%], safe at every "
        "look.",
        **{"left_out": {"answers_forced": 12}, "answers": 24_105, "analysed": 9_120},
        **{"contested": 0.4, "teams": [_TEAM, {**_TEAM, "name": "by-revenue"}]},
        **{"coins": _MISMATCH, "preferences": [_PREFERENCE]},
    },
    "ExplorationPrice": _PRICE,
    "Latency": _LATENCY,
    "Layer": _LAYER,
    "Look": _LOOK,
    "Mismatch": _MISMATCH,
    "NewSaleSlots": _EXPLORATION,
    "CoverPolicy": _COVERS,
    "OffPolicyEstimate": {
        **{"bundle": _ID, "refusal": None, "logged": _INTERVAL},
        **{"difference": {"cascade-dr": _INTERVAL}, "first_3": _PLACES},
    },
    "PlaceEstimate": _PLACES,
    "PlackettLuce": {"kind": "plackett_luce", "temperature": 0.2},
    "Plan": {
        **{"default": _POLICY, "holdout": _HOLDOUT, "layers": [_LAYER]},
        "experiments": [_EXPERIMENT],
    },
    "PlanChange": _AUDITED,
    "PlanDraft": {
        **{"default": {"order_by": "meta"}, "holdout": _HOLDOUT, "layers": [_LAYER]},
        "experiments": [{"name": "revenue", **_TERMS}],
    },
    "PolicyChange": _CHANGE,
    "Preference": _PREFERENCE,
    "PreferenceLook": _PREFERENCE_LOOK,
    "Promotion": _PROMOTION,
    "PromotionList": {"items": [_PROMOTION]},
    "PromotionRules": _STAGES,
    "PromotionState": {"promotion": _PROMOTION, "findings": [_FINDING]},
    "ExperimentVerdict": _VERDICT,
    "Results": {
        **{"verdicts": [_VERDICT]},
        **{"experiment": "revenue", "unit": "customer", "control": "as-is", "starts_at": _FROM},
        **{"until": _UNTIL, "rules": _RULES, "left_out": {"forced": 12}, "unpriced_purchases": 3},
        **{"variants": [_RESULT], "sample_ratio": _MISMATCH, "analysed_ratio": _MISMATCH},
        **{"comparisons": [_COMPARISON], "guardrails": [_GUARDRAIL]},
    },
    "Rules": _RULES,
    "Sale": _SALE,
    "ShadowRules": _STAGES["shadow"],
    "SlatePolicy": {**_POLICY, "bundle": _ID, "exploration": _EXPLORATION},
    "Interval": _INTERVAL,
    "TeamResult": _TEAM,
    "Variant": {**_VARIANT, "policy": _CHANGE},
    "VariantDraft": _SHARES[1],
    "RowResult": _ROW_RESULT,
    "VariantResult": _RESULT,
}
"""By the name of the schema."""

PARAMETERS: Final[dict[str, Any]] = {
    "limit": 10,
    "explain": True,
    "if-match": '"4"',
    "market": "fr",
    "open": True,
}
"""By the name of the parameter."""


def add_parameter_examples(operation: dict[str, Any]) -> None:
    """Give an example to every parameter of an operation without one.

    Raises:
        KeyError: If there is none for its name.
    """
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if "examples" not in schema:
            schema["examples"] = [PARAMETERS[parameter["name"].lower()]]


def add_examples(schemas: dict[str, dict[str, Any]]) -> None:
    """Give an example to every schema without one; of a closed set its first word.

    Raises:
        KeyError: If a schema has neither an example here nor a closed set of words.
    """
    for name, schema in schemas.items():
        if "examples" not in schema:
            schema["examples"] = [schema["enum"][0] if "enum" in schema else EXAMPLES[name]]
