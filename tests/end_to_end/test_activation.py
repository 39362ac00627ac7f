"""Activation under load: no request fails, and no answer mixes two bundles."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import pytest

from models.domain.customer import Window
from models.domain.profile import Profile
from models.query.query import Context, Query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.bundles import dishonest, recalibrated
from tests.end_to_end.service import Service, http, serving
from tests.proofs import Proof

SHIFT: Final = 6.0
"""Log-odds by which the bundles differ: more than any two sales of the small shop."""

LIE_EVERY: Final = 100
"""Changes between attempts to activate a bundle that does not reproduce its scores."""

N_CALLERS: Final = 3
AS_ONE: Final = 20
"""Answers in a row by which both workers are taken to have switched."""


@dataclass
class Caller:
    """A caller that asks without a pause, and the answers that it got."""

    url: str
    levels: dict[str, float]
    answers: Counter[str] = field(default_factory=Counter[str])
    mixed: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    failed: list[str] = field(default_factory=list[str])
    seconds: list[float] = field(default_factory=list[float])

    def ask(self, until: threading.Event) -> None:
        with httpx.Client(timeout=60.0) as client:
            while not until.is_set():
                started = time.perf_counter()
                try:
                    answer = client.get(f"{self.url}/v1/recommendations?customer_id=c1")
                except httpx.HTTPError as exc:
                    self.failed.append(repr(exc))
                    continue
                self.seconds.append(time.perf_counter() - started)
                self.judge(answer)

    def judge(self, answer: httpx.Response) -> None:
        # A worker that gets no time reads the catalogue late, and says so: its bundle ranks too.
        is_ranked = answer.status_code == 200 and answer.json()["degraded"] in {None, "remembered"}
        if not is_ranked or not answer.json()["items"]:
            self.failed.append(answer.text)
            return
        body = answer.json()
        self.answers[body["bundle"]] += 1
        odds = [log_odds(item["purchase_probability"]) for item in body["items"]]
        nearest = {min(self.levels, key=lambda name: abs(self.levels[name] - one)) for one in odds}
        if nearest != {body["bundle"]}:
            self.mixed.append(body)


def log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def level(bundle: Path) -> tuple[float, float]:
    """Mean and spread of the log-odds that a bundle itself gives a new customer now."""
    scorer = Scorer.load(read_bundle(bundle))
    catalogue = scorer.seed_catalogue()
    now_us = time.time_ns() // 1_000
    query = Query(
        Window.empty(),
        Profile.empty(),
        catalogue,
        Context(now_us),
        catalogue.eligible(None, now_us),
    )
    odds = np.array([log_odds(one) for one in scorer.probabilities(query).tolist()])
    return float(odds.mean()), float(np.abs(odds - odds.mean()).max())


def active(service: Service) -> str:
    """The bundle of one answer; a connection of its own meets any worker."""
    answer = http.get(f"{service.url}/v1/recommendations?customer_id=c1", timeout=60.0)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["bundle"])


def seconds_until_all_answer_with(bundle: str, service: Service) -> float:
    started = time.perf_counter()
    last_other, n_seen = started, 0
    while n_seen < AS_ONE:
        n_seen = n_seen + 1 if active(service) == bundle else 0
        if n_seen == 0:
            last_other = time.perf_counter()
    return last_other - started


def changes(bundles: list[str], n: int) -> Iterator[tuple[str, str, str | None]]:
    """Method, path and bundle of ``n`` activations and rollbacks, in turns."""
    names = cycle(bundles)
    for number in range(n):
        if number % 3 == 2:
            yield "POST", "/v1/bundles/rollback", None
        else:
            yield "PUT", "/v1/bundles/active", next(names)


@pytest.mark.prove
@pytest.mark.slow
def test_activations_and_rollbacks_under_load_fail_nothing_and_mix_nothing(
    tmp_path: Path, tiny_bundle: tuple[Path, Path], proof: Proof
) -> None:
    root = tmp_path / "bundles"
    paths = [recalibrated(tiny_bundle[0], root, shift=SHIFT * turn) for turn in (-1, 0, 1)]
    lie = dishonest(tiny_bundle[0], root)
    levels = {path.name: level(path) for path in paths}
    assert max(spread for _, spread in levels.values()) < SHIFT / 2
    means = {name: mean for name, (mean, _) in levels.items()}
    n_changes = proof.scale(1_000)
    stop, statuses, refusals = threading.Event(), Counter[int](), Counter[int]()
    slowest = 0.0
    with serving(
        tmp_path,
        "--workers",
        "2",
        VITRINE_BUNDLES=str(root),
        VITRINE_BUNDLE=paths[0].name,
        VITRINE_DEADLINE_MS="10000",
    ) as service:
        service.wait_until("/health/ready", status=200)
        callers = [Caller(service.url, means) for _ in range(N_CALLERS)]
        threads = [threading.Thread(target=caller.ask, args=(stop,)) for caller in callers]
        for thread in threads:
            thread.start()
        with httpx.Client(base_url=service.url, timeout=60.0) as client:
            for number, (method, path, name) in enumerate(changes([*means], n_changes)):
                body = None if name is None else {"bundle": name}
                answer = client.request(method, path, json=body)
                statuses[answer.status_code] += 1
                if number % LIE_EVERY == 0:
                    refused = client.put("/v1/bundles/active", json={"bundle": lie.name})
                    refusals[refused.status_code] += 1
                if number % max(n_changes // 10, 1) == 0:
                    waited = seconds_until_all_answer_with(answer.json()["active"], service)
                    slowest = max(slowest, waited)
        stop.set()
        for thread in threads:
            thread.join()

    failed = [one for caller in callers for one in caller.failed]
    mixed = [one for caller in callers for one in caller.mixed]
    answers = sum((caller.answers for caller in callers), Counter[str]())
    seconds = np.array([one for caller in callers for one in caller.seconds])
    proof.record(
        "activations",
        {
            "changes": statuses.total(),
            "refused_bundles": refusals.total(),
            "answers": answers.total(),
            "failed": len(failed),
            "mixed": len(mixed),
            "slowest_convergence_s": round(slowest, 3),
            "p50_ms": round(float(np.percentile(seconds, 50)) * 1e3, 2),
            "p99_ms": round(float(np.percentile(seconds, 99)) * 1e3, 2),
        },
    )
    assert (statuses, set(refusals)) == ({200: n_changes}, {409})
    assert (failed, mixed) == ([], [])
    assert answers.keys() == means.keys()
