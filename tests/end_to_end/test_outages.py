"""Outages of a store in any order: what was sold out stays away, and workers find back."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.end_to_end.faults import worker_pids
from tests.end_to_end.service import Service, run, serving
from tests.end_to_end.topologies import KINDS, Topology, running_topology, wait
from tests.proofs import FULL_SCALE, Proof

SEEN_WITHIN_S = 1.0
"""The promise: a change that was acknowledged is in every answer a second later."""

DEADLINES = {"VITRINE_READ_TIMEOUT_MS": "250", "VITRINE_DEADLINE_MS": "500"}
N_WANTED = 10
IN_CHECK = ("cluster",)


@dataclass
class Shop:
    """A served shop over a store that has outages, and what must hold of its answers.

    Attributes:
        folder: Where its processes keep their files.
        store: The store.
        service: The service, two workers.
        load: The command that fills the store.
        gone: Sales that were sold out, closed or deleted, each acknowledged.
        rungs: Answers by what they had to do without.
        recovered_s: Seconds from the end of an outage to full answers.
    """

    folder: Path
    store: Topology
    service: Service
    load: Sequence[str]
    gone: set[str] = field(default_factory=set[str])
    rungs: Counter[str] = field(default_factory=Counter[str])
    recovered_s: list[float] = field(default_factory=list[float])

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

    def find_back(self) -> None:
        """Wait for full answers of all workers."""
        started = time.monotonic()
        wait(lambda: all(self._is_full() for _ in range(6)))
        self.recovered_s.append(round(time.monotonic() - started, 2))

    def _is_full(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.service.url}/health/full", timeout=30.0).status_code == 200
        return False


class Outages(RuleBasedStateMachine):
    """Whatever happens to the store, in whatever order."""

    kind: str
    bundle_path: Path
    data: Path
    seen: list[Shop]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.is_up = self.is_filled = True
        self.is_hanging = self.is_full = self.is_unwritable = self.is_unsaved = False

    @initialize()
    def open_shop(self) -> None:
        folder = Path(mkdtemp(prefix="vitrine-outages-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        store = self._stack.enter_context(running_topology(self.kind, folder / "store"))
        load = ["app", "load", "--data", str(self.data), "--bundle", str(self.bundle_path)]
        load += ["--redis-url", store.url]
        assert run(*load).returncode == 0
        store.kill()
        store.back_up(folder / "backup")
        store.again()
        options = ["--bundle", str(self.bundle_path), "--workers", "2", "--redis-url", store.url]
        service = self._stack.enter_context(serving(folder, *options, **DEADLINES))
        service.wait_until("/health/full", status=200)
        self.shop = Shop(folder, store, service, load)
        self.seen.append(self.shop)

    @property
    def is_calm(self) -> bool:
        return self.is_up and not self.is_hanging and not self.is_full

    @precondition(lambda self: self.is_calm and self.is_filled)
    @rule(how=st.sampled_from(["sold out", "closed", "deleted"]))
    def withdraw(self, how: str) -> None:
        self.is_unsaved = self.is_unsaved or self.is_unwritable
        items = self.shop.ask(limit=1)["items"]
        sale_id = items[0]["sale_id"]
        if how == "deleted":
            self.shop.delete(sale_id)
        elif how == "closed":
            past = datetime.now(UTC) - timedelta(minutes=1)
            self.shop.put(sale_id, closes_at=past.isoformat())
        else:
            self.shop.put(sale_id, stock=0)

    @precondition(lambda self: self.is_calm)
    @rule()
    def kill_store(self) -> None:
        self.shop.store.kill()
        self.is_up = False

    @precondition(lambda self: not self.is_up)
    @rule(restores=st.booleans())
    def start_store(self, *, restores: bool) -> None:
        if restores:
            self.shop.store.restore(self.shop.folder / "backup")
        self.shop.store.again()
        self.is_up = True
        # Of a backup the workers know better than the store, until it is filled again.
        self.is_filled = self.is_filled and not (restores and self.shop.gone)

    @precondition(lambda self: self.is_calm)
    @rule()
    def hang_store(self) -> None:
        self.shop.store.hang()
        self.is_hanging = True

    @precondition(lambda self: self.is_hanging)
    @rule()
    def go_on(self) -> None:
        self.shop.store.go_on()
        self.is_hanging = False

    @precondition(lambda self: self.is_calm)
    @rule()
    def fill_memory(self) -> None:
        self.shop.store.full(is_full=True)
        self.is_full = True

    @precondition(lambda self: self.is_full)
    @rule()
    def free_memory(self) -> None:
        self.shop.store.full(is_full=False)
        self.is_full = False

    @precondition(lambda self: self.is_calm)
    @rule()
    def empty_store(self) -> None:
        self.shop.store.empty()
        self.is_filled = False

    @precondition(lambda self: self.is_calm)
    @rule()
    def fill_store(self) -> None:
        self.shop.fill()
        self.is_filled, self.is_unsaved = True, self.is_unwritable

    @precondition(lambda self: self.is_calm)
    @rule()
    def fail_over(self) -> None:
        self.shop.store.fail_over()

    @precondition(lambda self: not self.is_unsaved or (self.is_calm and self.is_filled))
    @rule()
    def lose_worker(self) -> None:
        """Have a worker start anew, which knows what the store or this machine kept."""
        pid = self.shop.service.process.pid
        os.kill(worker_pids(pid)[0], signal.SIGKILL)
        wait(lambda: len(worker_pids(pid)) > 1)

    @precondition(lambda self: not self.is_unwritable)
    @rule()
    def lose_state(self) -> None:
        """Have a plain file stand where the state directory was."""
        state = self.shop.folder / "state"
        state.rename(self.shop.folder / "away")
        state.touch()
        self.is_unwritable = True

    @precondition(lambda self: self.is_unwritable)
    @rule()
    def regain_state(self) -> None:
        state = self.shop.folder / "state"
        state.unlink()
        (self.shop.folder / "away").rename(state)
        self.is_unwritable = False

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
            self.shop.find_back()

    def teardown(self) -> None:
        if hasattr(self, "shop"):
            if self.is_hanging:
                self.shop.store.go_on()
            log = self.shop.service.log.read_text()
            self._stack.close()
            assert "a background task failed" not in log, log
            assert "Traceback" not in log, log
        self._stack.close()


@pytest.fixture
def machines(tiny_bundle: tuple[Path, Path]) -> type[Outages]:
    bundle, data = tiny_bundle
    return type("OutagesOfShop", (Outages,), {"bundle_path": bundle, "data": data, "seen": []})


@pytest.mark.prove
@pytest.mark.redis
@pytest.mark.slow
def test_after_outages_in_any_order_nothing_withdrawn_is_shown_and_answers_are_full_again(
    machines: type[Outages], proof: Proof
) -> None:
    if which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    for kind in sorted(KINDS) if proof.share == FULL_SCALE else IN_CHECK:
        prove(kind, machines, proof)


def prove(kind: str, machines: type[Outages], proof: Proof) -> None:
    machines.kind = kind
    machines.seen.clear()
    run_state_machine_as_test(
        machines,
        settings=settings(
            max_examples=proof.scale(20),
            stateful_step_count=max(10, proof.scale(40)),
            phases=[Phase.generate],
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

    recovered = sorted(s for shop in machines.seen for s in shop.recovered_s)
    rungs = sum((shop.rungs for shop in machines.seen), Counter[str]())
    proof.record(
        f"outages_{kind}",
        {"answers": dict(rungs), "outages": len(recovered), "slowest_recovery_s": recovered[-1:]},
    )
    assert rungs["full"] > 0
