"""Promotions for tests."""

from collections.abc import Mapping
from datetime import datetime

from models.experiments.analysis.interleaving import InterleavingResults
from models.promotion.promotion import Evidence, Promotion
from models.promotion.rule import CanaryRules, InterleavingRules, PromotionRules, ShadowRules
from tests.trials import START

RULES = PromotionRules(
    shadow=ShadowRules(min_answers=10),
    interleaving=InterleavingRules(share_bp=300, min_hours=1.0, max_days=2.0, margin=0.2),
    canary=CanaryRules(shares_bp=(100, 1_000, 5_000), min_units=100, min_hours=1.0, margin=0.2),
)


def begun(number: int = 1, *, at: datetime = START, rules: PromotionRules = RULES) -> Promotion:
    """A promotion of bundle ``b2`` where ``b1`` serves."""
    return Promotion.begun(number, "b2", serving="b1", rules=rules, at=at, who="key k1")


def evidence(
    *,
    serving: str = "b1",
    counts: Mapping[str, int] | None = None,
    drawn_share: float = 0.0,
    undone: str = "",
    unloaded: str = "",
    interleaved: InterleavingResults | None = None,
) -> Evidence:
    """What is known where nothing was counted yet and nothing is explored."""
    return Evidence(
        serving=serving,
        counts=counts or {},
        n_without=0,
        drawn_share=drawn_share,
        undone=undone,
        unloaded=unloaded,
        interleaved=interleaved,
    )
