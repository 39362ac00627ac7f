"""Outages of a store in any order: what was sold out stays away, and workers find back."""

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from shutil import which
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.clock import clock_library
from tests.end_to_end.faults import Disk, state_disk, worker_pids
from tests.end_to_end.service import Service, run, serving
from tests.end_to_end.topologies import KINDS, Topology, running_topology, wait
from tests.proofs import FULL_SCALE, Proof, share_to_prove

SEEN_WITHIN_S = 1.0
"""The promise: a change that was acknowledged is in every answer a second later."""

FULL_WITHIN_S = 5.0
"""The promise: so long after an outage all answers are full."""

DEADLINES = {"VITRINE_READ_TIMEOUT_MS": "250", "VITRINE_DEADLINE_MS": "500"}
N_WORKERS = 2
N_WANTED = 10
N_ASKED = 6
"""Questions by new connections, of which each worker answers some."""

IN_CHECK = ("cluster",)

TROUBLES: dict[str, tuple[Callable[[Topology], None], Callable[[Topology], None]]] = {
    "hangs": (Topology.hang, Topology.go_on),
    "slow": (Topology.slow, Topology.hurry),
    "memory full": (Topology.fill_memory, Topology.free_memory),
    "disk full": (Topology.fill_disk, Topology.free_disk),
}
"""What a store that runs suffers from: how it begins, and how it ends."""

STEPS_S = (-600, 0, 600)
"""How far the store's clock is from the workers'."""


@dataclass
class Shop:
    """A served shop over a store that has outages, and what must hold of its answers.

    Attributes:
        folder: Where its processes keep their files.
        disk: Where its workers keep their state.
        store: The store.
        service: The service, two workers.
        load: The command that fills the store.
        gone: Sales that were sold out, closed or deleted, each acknowledged.
        rungs: Answers by what they had to do without.
        recovered_s: Seconds from the end of an outage to full answers.
        faults: What happened.
    """

    folder: Path
    disk: Disk
    store: Topology
    service: Service
    load: Sequence[str]
    gone: set[str] = field(default_factory=set[str])
    rungs: Counter[str] = field(default_factory=Counter[str])
    recovered_s: list[float] = field(default_factory=list[float])
    faults: Counter[str] = field(default_factory=Counter[str])

    def ask(self, *, limit: int = 50, **params: str) -> dict[str, Any]:
        """Ask as a website does, each time by a new connection: any worker may answer."""
        answer = httpx.get(
            f"{self.service.url}/v1/recommendations",
            params={"limit": str(limit), **params},
            timeout=30.0,
        )
        assert answer.status_code == 200, answer.text
        self.rungs[answer.json()["degraded"] or "full"] += 1
        return answer.json()

    def put(self, sale_id: str, **changes: object) -> None:
        """Change a sale, and wait until the promise holds."""
        url = f"{self.service.url}/v1/sales/{sale_id}"
        sale = httpx.get(url, timeout=30.0).json()["sale"]
        answer = httpx.put(url, json={**sale, **changes}, timeout=30.0)
        assert answer.status_code in {200, 201}, answer.text
        self._now_gone(sale_id)

    def close(self, sale_id: str) -> None:
        """Close a sale right after it opened, which is past by every clock."""
        sale = httpx.get(f"{self.service.url}/v1/sales/{sale_id}", timeout=30.0).json()["sale"]
        closes_at = datetime.fromisoformat(sale["opens_at"]) + timedelta(seconds=1)
        self.put(sale_id, closes_at=closes_at.isoformat())

    def delete(self, sale_id: str) -> None:
        answer = httpx.delete(f"{self.service.url}/v1/sales/{sale_id}", timeout=30.0)
        assert answer.status_code in {200, 204}, answer.text
        self._now_gone(sale_id)

    def _now_gone(self, sale_id: str) -> None:
        time.sleep(SEEN_WITHIN_S)
        self.gone.add(sale_id)

    def fill(self) -> None:
        """Load the data set, which says of every sale what it says."""
        ended = run(*self.load)
        assert ended.returncode == 0, ended.stderr
        self.gone.clear()

    def find_back(self, *, is_saved: bool) -> None:
        """Wait for full answers of all workers; health says so too, where all could be saved."""
        started = time.monotonic()
        wait(lambda: all(self._is_full() for _ in range(N_ASKED)))
        wait(lambda: not is_saved or self.says_full())
        self.recovered_s.append(round(time.monotonic() - started, 2))

    def says_full(self) -> bool:
        url = f"{self.service.url}/health/full"
        return all(httpx.get(url, timeout=30.0).status_code == 200 for _ in range(N_ASKED))

    def _is_full(self) -> bool:
        return self.ask(customer_id="c1")["degraded"] is None and self._takes_events()

    def _takes_events(self) -> bool:
        event = {
            "event_id": token_hex(8),
            "customer_id": "c1",
            "type": "click",
            "sale_id": "s000200",
            "at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        }
        answer = httpx.post(f"{self.service.url}/v1/events", json={"events": [event]}, timeout=30.0)
        return answer.status_code == 200 and answer.json()["accepted"] == 1

    def workers(self) -> list[int]:
        """Wait until all workers answer, or are stopped; return their processes, oldest first."""
        pid = self.service.process.pid
        wait(lambda: len(worker_pids(pid)) == N_WORKERS and set(worker_pids(pid)) <= self._ready())
        return worker_pids(pid)

    def _ready(self) -> set[int]:
        lines = map(json.loads, self.service.log.read_text().splitlines())
        return {line["pid"] for line in lines if line["event"] == "a worker is ready"}


class Outages(RuleBasedStateMachine):
    """Whatever happens to the store and to workers, in whatever order."""

    kind: str
    bundle_path: Path
    data: Path
    seen: list[Shop]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.is_up = self.is_filled = True
        self.trouble = self.lost_state = ""
        self.is_unsaved = self.is_excused = False
        self.stopped: int | None = None

    @initialize()
    def open_shop(self) -> None:
        folder = Path(mkdtemp(prefix="vitrine-outages-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = self._stack.enter_context(state_disk(folder / "disk"))
        store = self._stack.enter_context(running_topology(self.kind, folder / "store"))
        load = ["app", "load", "--data", str(self.data), "--bundle", str(self.bundle_path)]
        load += ["--redis-url", store.url]
        assert run(*load).returncode == 0
        store.kill()
        store.back_up(folder / "backup")
        store.again()
        options = ["--bundle", str(self.bundle_path), "--workers", str(N_WORKERS)]
        options += ["--redis-url", store.url]
        variables = {"VITRINE_STATE_DIR": str(disk.state), **DEADLINES}
        service = self._stack.enter_context(serving(folder, *options, **variables))
        service.wait_until("/health/full", status=200)
        self.shop = Shop(folder, disk, store, service, load)
        self.seen.append(self.shop)

    @property
    def is_calm(self) -> bool:
        return self.is_up and not self.trouble

    @property
    def is_kept(self) -> bool:
        """Whether a worker that starts knows from this machine what others know."""
        return self.lost_state != "gone" and not self.is_unsaved

    @precondition(lambda self: self.is_calm and self.is_filled)
    @rule(how=st.sampled_from(["sold out", "closed", "deleted"]))
    def withdraw(self, how: str) -> None:
        self._note(how)
        self.is_unsaved = self.is_unsaved or bool(self.lost_state)
        sale_id = self.shop.ask(limit=1)["items"][0]["sale_id"]
        if how == "deleted":
            self.shop.delete(sale_id)
        elif how == "closed":
            self.shop.close(sale_id)
        else:
            self.shop.put(sale_id, stock=0)

    @precondition(lambda self: self.is_calm)
    @rule()
    def kill_store(self) -> None:
        self._note("store killed")
        self.shop.store.kill()
        self.is_up = False

    @precondition(lambda self: not self.is_up)
    @rule(restores=st.booleans())
    def start_store(self, *, restores: bool) -> None:
        if restores:
            self._note("restored")
            self.shop.store.restore(self.shop.folder / "backup")
        self.shop.store.again()
        self.is_up = True
        # Of a backup the workers know better than the store, until it is filled again.
        self.is_filled = self.is_filled and not (restores and self.shop.gone)

    @precondition(lambda self: self.is_calm)
    @rule(trouble=st.sampled_from(sorted(TROUBLES)))
    def trouble_store(self, trouble: str) -> None:
        self._note(trouble)
        begin, _ = TROUBLES[trouble]
        begin(self.shop.store)
        self.trouble = trouble

    @precondition(lambda self: self.trouble)
    @rule()
    def end_trouble(self) -> None:
        _, end = TROUBLES[self.trouble]
        end(self.shop.store)
        self.trouble = ""

    @precondition(lambda self: not self.trouble)
    @rule(ahead_s=st.sampled_from(STEPS_S))
    def step_clock(self, ahead_s: int) -> None:
        self._note("clock stepped")
        self.shop.store.set_clock(ahead_s)
        if self.is_up:
            self.shop.store.settle()

    @precondition(lambda self: self.is_calm)
    @rule()
    def empty_store(self) -> None:
        self._note("emptied")
        self.shop.store.empty()
        self.is_filled = False

    @precondition(lambda self: self.is_calm)
    @rule()
    def fill_store(self) -> None:
        self._note("filled")
        self.shop.fill()
        self.is_filled, self.is_unsaved = True, bool(self.lost_state)

    @precondition(lambda self: self.is_calm)
    @rule()
    def fail_over(self) -> None:
        self._note("failed over")
        self.shop.store.fail_over()

    @precondition(lambda self: self.stopped is None)
    @precondition(lambda self: self.is_kept or (self.is_calm and self.is_filled))
    @rule()
    def lose_worker(self) -> None:
        """Have a worker start anew, which knows what the store or this machine kept."""
        self._note("worker killed")
        os.kill(self.shop.workers()[0], signal.SIGKILL)

    @precondition(lambda self: self.stopped is None and self.is_kept and not self.lost_state)
    @rule()
    def stop_worker(self) -> None:
        """Have a worker hang; after a while another one takes its place."""
        self._note("worker stopped")
        self.stopped = self.shop.workers()[0]
        os.kill(self.stopped, signal.SIGSTOP)

    @precondition(lambda self: self.stopped is not None)
    @rule()
    def continue_worker(self) -> None:
        if self.stopped in worker_pids(self.shop.service.process.pid):
            os.kill(self.stopped, signal.SIGCONT)
        self.stopped = None

    @precondition(lambda self: self.stopped is None and not self.lost_state)
    @rule(how=st.sampled_from(["gone", "read-only", "full"]))
    def lose_state(self, how: str) -> None:
        self.lost_state = how if self.shop.disk.is_mounted else "gone"
        self._note(f"state {self.lost_state}")
        self.shop.disk.break_down(self.lost_state)
        self.is_excused = True

    @precondition(lambda self: self.lost_state)
    @rule()
    def regain_state(self) -> None:
        self.shop.disk.mend(self.lost_state)
        self.lost_state = ""

    def _note(self, fault: str) -> None:
        self.shop.faults[fault] += 1

    @invariant()
    def answers_are_of_sales_that_may_be_bought(self) -> None:
        if not hasattr(self, "shop"):
            return
        for customer in ("c1", "c2", "c3", "new"):
            answer = self.shop.ask(customer_id=customer)
            shown = {item["sale_id"] for item in answer["items"]}
            assert shown & self.shop.gone == set(), (answer["degraded"], self.shop.gone)
            assert len(shown) >= N_WANTED, answer
        first = self.shop.ask(limit=1)["items"][0]["sale_id"]
        others = {item["sale_id"] for item in self.shop.ask(exclude=first)["items"]}
        assert first not in others
        live = httpx.get(f"{self.shop.service.url}/health/live", timeout=30.0)
        ready = httpx.get(f"{self.shop.service.url}/health/ready", timeout=30.0)
        assert (live.status_code, ready.status_code) == (200, 200), (live.text, ready.text)

    @invariant()
    def workers_find_back(self) -> None:
        if hasattr(self, "shop") and self.is_calm and self.is_filled:
            self.shop.find_back(is_saved=not self.is_excused)
            # Saving is tried again every minute.
            if self.is_excused and not self.lost_state and self.shop.says_full():
                self.is_excused = self.is_unsaved = False

    def teardown(self) -> None:
        if hasattr(self, "shop"):
            self._end_faults()
            log = self.shop.service.log.read_text()
            self._stack.close()
            assert "a background task failed" not in log, log
            assert "Traceback" not in log, log
        self._stack.close()

    def _end_faults(self) -> None:
        if self.trouble:
            self.end_trouble()
        if self.stopped is not None:
            self.continue_worker()


@pytest.fixture
def machines(tiny_bundle: tuple[Path, Path]) -> type[Outages]:
    bundle, data = tiny_bundle
    return type("OutagesOfShop", (Outages,), {"bundle_path": bundle, "data": data, "seen": []})


@pytest.mark.clock
@pytest.mark.prove
@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS) if share_to_prove() == FULL_SCALE else IN_CHECK)
def test_after_outages_in_any_order_nothing_withdrawn_is_shown_and_answers_are_full_again(
    kind: str, machines: type[Outages], proof: Proof, pytestconfig: pytest.Config
) -> None:
    if which("redis-server") is None or clock_library() is None:
        pytest.skip("redis-server or faketime is not installed")
    machines.kind = kind
    seed_given = pytestconfig.getoption("hypothesis_seed") or "0"
    n_examples, n_steps = proof.scale(8), max(10, proof.scale(25))

    started = time.monotonic()
    run_state_machine_as_test(
        seed(f"{kind} {seed_given}")(machines),
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=n_steps,
            phases=[Phase.generate],
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

    recovered = sorted(s for shop in machines.seen for s in shop.recovered_s)
    rungs = sum((shop.rungs for shop in machines.seen), Counter[str]())
    faults = sum((shop.faults for shop in machines.seen), Counter[str]())
    proof.record(
        f"outages_{kind}",
        {
            "seed": seed_given,
            "examples": n_examples,
            "steps": n_steps,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "faults": dict(faults),
            "answers": dict(rungs),
            "outages": len(recovered),
            "slowest_recovery_s": recovered[-5:],
        },
    )
    assert rungs["full"] > 0
    assert recovered[-1] < FULL_WITHIN_S
