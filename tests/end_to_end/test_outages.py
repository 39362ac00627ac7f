"""Outages of a store in any order: sold-out sales stay away, and workers recover."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from shutil import which
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.clock import clock_library
from tests.end_to_end.faults import GONE, STATE_FAULTS, state_disk, worker_pids
from tests.end_to_end.in_process import run_here
from tests.end_to_end.outage_shop import N_WORKERS, Shop
from tests.end_to_end.service import http, serving
from tests.end_to_end.topologies import KINDS, Topology, running_topology
from tests.proofs import FULL_SCALE, Proof, share_to_prove

FULL_WITHIN_S = 5.0
"""Promised time from the end of an outage to full answers."""

DEADLINES = {"VITRINE_READ_TIMEOUT_MS": "250", "VITRINE_DEADLINE_MS": "500"}
N_WANTED = 10
IN_CHECK = ("cluster",)

Happenings = dict[Callable[[str], None], Sequence[str]]
"""Functions that make a fault, and the values of their argument."""

TROUBLES: dict[str, tuple[Callable[[Topology], None], Callable[[Topology], None]]] = {
    "hangs": (Topology.hang, Topology.go_on),
    "slow": (Topology.slow, Topology.hurry),
    "memory full": (Topology.fill_memory, Topology.free_memory),
    "disk full": (Topology.fill_disk, Topology.free_disk),
}
"""Faults of a running store: how each begins, and how it ends."""

STEPS_S = {"clock set back": -600, "clock corrected": 0, "clock set forward": 600}
"""Seconds of the store's clock ahead of the workers'."""


class Outages(RuleBasedStateMachine):
    """Outages of the store, of workers and of their disk, in any order."""

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

    @initialize(has_clock=st.booleans())
    def open_shop(self, *, has_clock: bool) -> None:
        folder = Path(mkdtemp(prefix="vitrine-outages-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = self._stack.enter_context(state_disk(folder / "disk"))
        store = self._stack.enter_context(
            running_topology(self.kind, folder / "store", has_clock=has_clock)
        )
        load = ["app", "load", "--data", str(self.data), "--bundle", str(self.bundle_path)]
        load += ["--redis-url", store.url]
        assert run_here(*load).exit_code == 0
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
        """Whether a worker that starts knows from this machine what others know.

        With the first change after it was mended the disk has the whole catalogue again.
        """
        return self.lost_state != GONE and not self.is_unsaved

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """Have one of the things happen that may.

        In one rule: of many Hypothesis leaves half out of each example, for thousands of examples.
        Its first example takes the first of everything, which is another one each time.
        """
        possible = self._possible()
        names, turn = [*possible], self.shop.happened.total() % len(possible)
        happen = data.draw(st.sampled_from(names[turn:] + names[:turn]))
        how = data.draw(st.sampled_from(possible[happen]))
        self.shop.happened[how] += 1
        happen(how)

    def _possible(self) -> Happenings:
        """Return what may happen now, and how."""
        return self._possible_of_store() | self._possible_of_workers()

    def _possible_of_store(self) -> Happenings:
        possible: Happenings = {}
        if self.is_calm:
            possible |= {
                self.kill_store: ("store killed",),
                self.trouble_store: tuple(TROUBLES),
                self.empty_store: ("emptied",),
                self.fill_store: ("filled",),
                self.fail_over: ("failed over",),
            }
        if self.is_calm and self.is_filled:
            possible[self.withdraw] = ("sold out", "closed", "deleted")
        if not self.is_up:
            possible[self.start_store] = ("started", "restored")
        if self.trouble:
            possible[self.end_trouble] = ("trouble ended",)
        elif self.shop.store.clock:
            possible[self.step_clock] = tuple(STEPS_S)
        return possible

    def _possible_of_workers(self) -> Happenings:
        possible: Happenings = {}
        if self.stopped is not None:
            possible[self.continue_worker] = ("worker continued",)
        elif self.is_kept or (self.is_calm and self.is_filled):
            possible[self.kill_worker] = ("worker killed",)
        if self.lost_state:
            possible[self.regain_state] = ("state regained",)
        elif self.stopped is None:
            possible[self.lose_state] = STATE_FAULTS if self.shop.disk.is_mounted else (GONE,)
            # One that hangs for too long is replaced by one that knows what was saved.
            possible |= {self.stop_worker: ("worker stopped",)} if self.is_kept else {}
        return possible

    def withdraw(self, how: str) -> None:
        self.is_unsaved = bool(self.lost_state)
        sale_id = self.shop.ask(limit=1)["items"][0]["sale_id"]
        if how == "deleted":
            self.shop.delete(sale_id)
        elif how == "closed":
            self.shop.close(sale_id)
        else:
            self.shop.put(sale_id, stock=0)

    def kill_store(self, _how: str) -> None:
        self.shop.store.kill()
        self.is_up = False

    def start_store(self, how: str) -> None:
        if how == "restored":
            self.shop.store.restore(self.shop.folder / "backup")
            # Of a backup the workers know better than the store, until it is filled again.
            self.is_filled = self.is_filled and not self.shop.gone
        self.shop.store.again()
        self.is_up = True

    def trouble_store(self, how: str) -> None:
        begin, _ = TROUBLES[how]
        begin(self.shop.store)
        self.trouble = how

    def end_trouble(self, _how: str) -> None:
        _, end = TROUBLES[self.trouble]
        end(self.shop.store)
        self.trouble = ""

    def step_clock(self, how: str) -> None:
        self.shop.store.set_clock(STEPS_S[how])
        if self.is_up:
            self.shop.store.settle()

    def empty_store(self, _how: str) -> None:
        self.shop.store.empty()
        self.is_filled = False

    def fill_store(self, _how: str) -> None:
        self.shop.fill()
        self.is_filled, self.is_unsaved = True, bool(self.lost_state)

    def fail_over(self, _how: str) -> None:
        self.shop.store.fail_over()

    def kill_worker(self, _how: str) -> None:
        """Have a worker start anew, which knows what the store or this machine kept."""
        os.kill(self.shop.workers()[0], signal.SIGKILL)
        if not self.is_kept:
            self.shop.workers()

    def stop_worker(self, _how: str) -> None:
        self.stopped = self.shop.workers()[0]
        os.kill(self.stopped, signal.SIGSTOP)

    def continue_worker(self, _how: str) -> None:
        if self.stopped in worker_pids(self.shop.service.process.pid):
            os.kill(self.stopped, signal.SIGCONT)
        self.stopped = None

    def lose_state(self, how: str) -> None:
        self.shop.disk.break_down(how)
        self.lost_state, self.is_excused = how, True

    def regain_state(self, _how: str) -> None:
        self.shop.disk.mend(self.lost_state)
        self.lost_state = ""

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
        live = http.get(f"{self.shop.service.url}/health/live")
        ready = http.get(f"{self.shop.service.url}/health/ready")
        assert (live.status_code, ready.status_code) == (200, 200), (live.text, ready.text)

    @invariant()
    def workers_find_back(self) -> None:
        if hasattr(self, "shop") and self.is_calm and self.is_filled:
            self.shop.find_back(is_saved=not self.is_excused)
            # Saving is tried again every minute.
            if self.is_excused and not self.lost_state:
                self.is_excused = not self.shop.says_full()

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
            self.end_trouble("at the end")
        if self.stopped is not None:
            self.continue_worker("at the end")


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
    n_examples, n_steps = proof.scale(6), max(10, proof.scale(25))

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
    levels = sum((shop.levels for shop in machines.seen), Counter[str]())
    happened = sum((shop.happened for shop in machines.seen), Counter[str]())
    proof.record(
        f"outages_{kind}",
        {
            "seed": seed_given,
            "examples": n_examples,
            "steps": n_steps,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "happened": dict(happened),
            "answers": dict(levels),
            "outages": len(recovered),
            "slowest_recovery_s": recovered[-5:],
        },
    )
    assert levels["full"] > 0
    # A check shares its machine with others; there it is enough to find back.
    assert proof.share < FULL_SCALE or recovered[-1] < FULL_WITHIN_S
