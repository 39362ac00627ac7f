"""Bundles that await traffic are kept as long as a promotion may take."""

from datetime import datetime, timedelta
from pathlib import Path

from models.domain.event import from_us
from models.promotion.rule import PromotionRules
from models.scoring.bundle import bundle_paths, write_bundle
from tests.bundles import DRAFT
from tests.logs import NOON
from training.nightly.waiting import longest_promotion, remove_expired


def written(root: Path, made: datetime, *, seed: int, awaits: bool) -> str:
    changes = {"created_at": made.isoformat(), "seed": seed, "awaits_traffic": awaits}
    return write_bundle(root, DRAFT.model_copy(update=changes), files={}).name


def test_a_promotion_takes_45_days_at_most() -> None:
    """By hand: 72 hours of shadow, a week for the estimate, one of interleaving, 28 of canary."""
    assert longest_promotion(PromotionRules()) == timedelta(days=3 + 7 + 7 + 28)


def test_only_what_awaited_traffic_for_longer_is_removed(tmp_path: Path) -> None:
    """One that was promoted serves, and what never awaited traffic is no business of this."""
    long_ago, lately = (from_us(NOON) - timedelta(days=days, hours=1) for days in (45, 44))
    expired = written(tmp_path, long_ago, seed=1, awaits=True)
    promoted = written(tmp_path, long_ago, seed=2, awaits=True)
    published = written(tmp_path, long_ago, seed=3, awaits=False)
    awaiting = written(tmp_path, lately, seed=4, awaits=True)

    remove_expired(tmp_path, now_us=NOON, kept=[promoted])

    assert {*bundle_paths(tmp_path)} == {promoted, published, awaiting}
    assert not [path for path in tmp_path.iterdir() if expired in path.name]
