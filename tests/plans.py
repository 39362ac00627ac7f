"""Plans of experiments for tests: two orders of the home page."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.experiments.plan.bucketing import resized
from models.experiments.plan.experiment import Experiment

LAYER = {"name": "home", "salt": "home-1"}
START = datetime(2026, 1, 1, tzinfo=UTC)


def terms(popularity_bp: int = 5_000, **fields: object) -> dict[str, Any]:
    """An experiment of orders, as people write it."""
    shares = {"popularity": popularity_bp, "meta": 10_000 - popularity_bp}
    return {
        "layer": "home",
        "salt": "order-1",
        "starts_at": START.isoformat(),
        "control": next(name for name, share in shares.items() if share),
        "variants": [
            {"name": name, "share_bp": share, "policy": {"order_by": name}}
            for name, share in shares.items()
            if share
        ],
        **fields,
    }


def with_shares(experiment: Experiment, shares_bp: Mapping[str, int]) -> Experiment:
    """The experiment with other shares, whose buckets move as little as possible."""
    held = [one.buckets for one in experiment.variants]
    grown = resized(held, [shares_bp[one.name] for one in experiment.variants])
    variants = [
        {**one.model_dump(exclude={"buckets"}, exclude_unset=True), "buckets": buckets}
        for one, buckets in zip(experiment.variants, grown, strict=True)
    ]
    others = experiment.model_dump(exclude={"variants"}, exclude_unset=True)
    return Experiment.model_validate({**others, "variants": variants})


def written(folder: Path, *, popularity_bp: int = 5_000) -> Path:
    """Write a plan with one experiment, ``order``, into a file."""
    experiment = {"name": "order", **terms(popularity_bp)}
    path = folder / "written-plan.json"
    path.write_text(json.dumps({"layers": [LAYER], "experiments": [experiment]}))
    return path
