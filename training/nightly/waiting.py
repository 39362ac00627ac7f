"""Bundles that await traffic: how long they are kept beside those that serve."""

import shutil
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from models.domain.event import from_us
from models.promotion.rule import PromotionRules
from models.scoring.bundle import bundle_paths, read_manifest


def longest_promotion(rules: PromotionRules) -> timedelta:
    """Return how long a promotion takes at most, until its rules stop it."""
    hours = rules.shadow.max_hours + rules.estimate.max_hours
    return timedelta(hours=hours, days=rules.interleaving.max_days + rules.canary.max_days)


def remove_expired(bundles: Path, *, now_us: int, kept: Collection[str]) -> None:
    """Remove bundles that have awaited traffic for longer than a promotion of them could take.

    Args:
        bundles: Directory of bundles.
        now_us: Now, microseconds since the epoch.
        kept: Ids of bundles that stay, such as one that was promoted and serves.
    """
    since = from_us(now_us) - longest_promotion(PromotionRules())
    for name, path in bundle_paths(bundles).items():
        manifest = read_manifest(path)
        awaits = manifest.awaits_traffic and name not in kept
        if awaits and datetime.fromisoformat(manifest.created_at) < since:
            # First under a name that no service reads: it would report a part as a broken bundle.
            hidden = path.with_name(f".expired-{name}")
            path.rename(hidden)
            shutil.rmtree(hidden)
