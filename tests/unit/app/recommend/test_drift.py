from dataclasses import replace
from itertools import count

import numpy as np
from prometheus_client import CollectorRegistry

from app.observability import DriftMetrics
from app.recommend.drift import EVERY_S, Drift
from models.ranker.drift_baseline import DriftBaseline
from models.scoring.scorer import Scores
from tests.builders import catalogue, query, sale
from tests.shop import SCHEMA, scorer

N = len(SCHEMA.names)
ASKED = query(catalogue(sale("s1")))
REFERENCE = DriftBaseline(np.array([0.1, 0.2]), np.array([0.5, 0.3, 0.2]), np.full(N, 0.25))


def scores_of(probabilities: list[float], *, n_missing: int) -> Scores:
    """Candidates, of which the first few lack the first feature."""
    p = np.array(probabilities)
    features = np.zeros((len(p), N), dtype=np.float32)
    features[:n_missing, 0] = np.nan
    return Scores(p, p, features, prices=p, margins=p, sizes=p)


class Observed:
    """What the counters of a registry say of the bundle of the shop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = DriftMetrics(self.registry)

    def band(self, name: str, band: int) -> float | None:
        labels = {"bundle": "by-hand", "band": str(band)}
        return self.registry.get_sample_value(f"vitrine_{name}", labels)

    def feature(self, name: str, number: int) -> float | None:
        labels = {"bundle": "by-hand", "feature": SCHEMA.names[number]}
        return self.registry.get_sample_value(f"vitrine_{name}", labels)


def test_candidates_are_counted_by_band_and_missing_feature_beside_training() -> None:
    observed = Observed()
    drift = Drift(observed.metrics, clock=map(float, count()).__next__)
    model = replace(scorer(), drift_baseline=REFERENCE)

    drift.compare(model, ASKED, scores=scores_of([0.05, 0.1, 0.15, 0.9], n_missing=3))
    drift.compare(model, ASKED, scores=scores_of([0.9], n_missing=0))

    assert [observed.band("scored_candidates_total", i) for i in (1, 2, 3)] == [2.0, 1.0, 2.0]
    assert [observed.band("trained_score_share", i) for i in (1, 2, 3)] == [0.5, 0.3, 0.2]
    assert [observed.feature("missing_values_total", i) for i in (0, 1)] == [3.0, 0.0]
    assert observed.feature("trained_missing_share", 0) == 0.25


def test_its_work_does_not_grow_with_the_load() -> None:
    """A thousand answers within a second are looked at four times."""
    observed = Observed()
    moments = iter(np.linspace(0.0, 1.0 - 1e-9, 1_000).tolist())
    drift = Drift(observed.metrics, clock=lambda: next(moments))
    model = replace(scorer(), drift_baseline=REFERENCE)

    for _ in range(1_000):
        drift.compare(model, ASKED, scores=scores_of([0.9], n_missing=0))

    seen = observed.band("scored_candidates_total", 3)
    assert seen is not None
    assert seen <= 1.0 / EVERY_S


def test_a_bundle_that_says_nothing_of_its_training_is_not_counted() -> None:
    observed = Observed()
    nothing = DriftBaseline(np.empty(0), np.empty(0), np.zeros(N))
    drift = Drift(observed.metrics, clock=map(float, count()).__next__)

    drift.compare(scorer(), ASKED, scores=scores_of([0.9], n_missing=1))
    drift.compare(
        replace(scorer(), drift_baseline=nothing), ASKED, scores=scores_of([0.9], n_missing=1)
    )

    assert observed.band("scored_candidates_total", 1) is None
