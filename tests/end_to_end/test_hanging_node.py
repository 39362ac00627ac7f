"""A node of a cluster hangs: answers come in their time, and are full again once it goes on."""

import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, serving
from tests.end_to_end.topologies import Cluster, Node, running_topology
from tests.proofs import FULL_SCALE, Proof, share_to_prove

N_WANTED = 10
N_CUSTOMERS = 30
HANGS_S = 8.0
"""Beyond twice the cluster's node timeout: the other nodes then refuse all commands."""

FULL_WITHIN_S = 5.0
COVERAGES = ("no", "yes")
"""Whether nodes refuse all commands where one of them is gone."""


@dataclass(frozen=True)
class Asked:
    """An answer: its time, that of `/health/live` after it, and what it lacked."""

    took_s: float
    live_s: float
    level: str


def ask(service: Service, number: int) -> Asked:
    """Ask for a customer of any node, and then for liveness."""
    started = time.monotonic()
    answer = http.get(
        f"{service.url}/v1/recommendations", params={"customer_id": f"c{number % N_CUSTOMERS}"}
    )
    took_s = time.monotonic() - started
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) >= N_WANTED, answer.text
    asked = time.monotonic()
    live = http.get(f"{service.url}/health/live")
    assert live.status_code == 200, live.text
    return Asked(took_s, time.monotonic() - asked, answer.json()["degraded"] or "full")


def hang(service: Service, node: Node, *, seconds: float) -> list[Asked]:
    """Have a node hang while customers are asked for."""
    seen: list[Asked] = []
    node.send(signal.SIGSTOP)
    try:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            seen.append(ask(service, len(seen)))
    finally:
        node.send(signal.SIGCONT)
    return seen


def seconds_to_full(service: Service) -> float:
    """Return when the customers of all nodes had full answers."""
    started = time.monotonic()
    in_a_row = 0
    while in_a_row < N_CUSTOMERS:
        assert time.monotonic() - started < 60.0, service.log.read_text()
        in_a_row = in_a_row + 1 if ask(service, in_a_row).level == "full" else 0
    service.wait_until("/health/full", status=200)
    return time.monotonic() - started


@pytest.mark.prove
@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize("coverage", COVERAGES if share_to_prove() == FULL_SCALE else COVERAGES[:1])
def test_a_node_that_hangs_delays_no_answer_and_is_used_again_when_it_goes_on(
    coverage: str, tmp_path: Path, tiny_bundle: tuple[Path, Path], proof: Proof
) -> None:
    if which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    bundle, data = tiny_bundle
    is_full = proof.share == FULL_SCALE
    figures: dict[str, object] = {}
    with running_topology("cluster", tmp_path / "store", has_clock=False) as store:
        assert isinstance(store, Cluster)
        for node in store.nodes:
            node.tell(f"CONFIG SET cluster-require-full-coverage {coverage}")
        options = ["--bundle", str(bundle), "--redis-url", store.url]
        assert run_here("app", "load", "--data", str(data), *options).exit_code == 0
        deadlines = {"VITRINE_READ_TIMEOUT_MS": "250", "VITRINE_DEADLINE_MS": "500"}
        with serving(tmp_path, *options, **deadlines) as service:
            service.wait_until("/health/full", status=200)
            for number, node in enumerate(store.nodes if is_full else store.nodes[:1]):
                seen = hang(service, node, seconds=HANGS_S if is_full else 1.0)
                recovered_s = seconds_to_full(service)
                figures[f"node {number}"] = {
                    "answers": len(seen),
                    "levels": dict(Counter(one.level for one in seen)),
                    "slowest_s": round(max(one.took_s for one in seen), 3),
                    "slowest_live_s": round(max(one.live_s for one in seen), 3),
                    "recovered_s": round(recovered_s, 2),
                }
                assert not is_full or recovered_s < FULL_WITHIN_S, figures
        log = service.log.read_text()
    proof.record(f"hanging_node_{coverage}", figures)
    assert "a background task failed" not in log, log
    assert "Traceback" not in log, log
