"""Faults under load: the page is never empty, and nothing acknowledged is lost."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

import httpx
import numpy as np
import polars as pl
import pytest

from tests.end_to_end.faults import Faults, Proxy, running_store
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, run, serving
from tests.proofs import FULL_SCALE, Proof

N_CALLERS = 4
FAULT_S = 5.0
RECOVERS_WITHIN_S = 60.0
IN_CHECK = ("connections reset", "store killed")
EMPTIED = "store emptied"
WORKER = "worker killed"


@dataclass
class Caller:
    """A caller that asks without a pause, and sends an event after every answer."""

    url: str
    name: str
    answers: list[tuple[float, float, int, str]] = field(
        default_factory=list[tuple[float, float, int, str]]
    )
    unanswered: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    acknowledged: list[str] = field(default_factory=list[str])
    refused: Counter[int] = field(default_factory=Counter[int])

    def run(self, until: threading.Event) -> None:
        each_anew = httpx.Limits(max_keepalive_connections=0)  # any worker may answer
        number = 0
        with httpx.Client(timeout=30.0, limits=each_anew) as client:
            while not until.is_set():
                number += 1
                self.ask(client, number)
                self.tell(client, number)

    def ask(self, client: httpx.Client, number: int) -> None:
        customer = f"{self.name}-{number % 20}"
        started = time.monotonic()
        try:
            answer = client.get(f"{self.url}/v1/recommendations?customer_id={customer}")
        except httpx.HTTPError as exc:
            self.unanswered.append((started, type(exc).__name__))
            return
        if answer.status_code != 200:
            self.unanswered.append((started, str(answer.status_code)))
            return
        body = answer.json()
        seconds = time.monotonic() - started
        self.answers.append((started, seconds, len(body["items"]), body["degraded"] or "full"))

    def tell(self, client: httpx.Client, number: int) -> None:
        event = {
            "event_id": f"{self.name}-{number}",
            "customer_id": f"{self.name}-{number % 20}",
            "type": "click",
            "sale_id": "s000200",
            "at": datetime.now(UTC).isoformat(),
        }
        try:
            answer = client.post(f"{self.url}/v1/events", json={"events": [event]})
        except httpx.HTTPError:
            self.refused[0] += 1
            return
        if answer.status_code == 200 and answer.json()["accepted"] == 1:
            self.acknowledged.append(f"{self.name}-{number}")
        else:
            self.refused[answer.status_code] += 1


def percentiles(answers: list[tuple[float, float, int, str]]) -> dict[str, float]:
    seconds = [one[1] for one in answers] or [float("nan")]
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1e3
    return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


def seconds_to_recover(url: str) -> float:
    """Return when ten answers in a row were full again."""
    started = time.monotonic()
    in_a_row = 0
    with httpx.Client(timeout=30.0) as client:
        while in_a_row < 10:
            assert time.monotonic() - started < RECOVERS_WITHIN_S
            answer = client.get(f"{url}/v1/recommendations?customer_id=c1")
            is_full = answer.status_code == 200 and answer.json()["degraded"] is None
            in_a_row = in_a_row + 1 if is_full else 0
            time.sleep(0.01)
    return time.monotonic() - started


@dataclass(frozen=True)
class Seen:
    """Answers during a fault; percentiles in milliseconds."""

    answers: int
    not_answered: dict[str, int]
    too_short: int
    levels: dict[str, int]
    before: dict[str, float]
    during: dict[str, float]
    after: dict[str, float]
    events_refused: dict[int, int]
    recovered_s: float


@dataclass
class Drill:
    """A served shop, the load on it, and the answers during each fault."""

    service: Service
    load: list[str]
    n_wanted: int
    acknowledged: list[str] = field(default_factory=list[str])
    table: dict[str, Seen] = field(default_factory=dict[str, Seen])

    def suffer(self, name: str, fault: Callable[[float], None], seconds: float) -> None:
        """Run a fault between two periods without one, all under load."""
        until = threading.Event()
        callers = [Caller(self.service.url, f"{name}-{i}") for i in range(N_CALLERS)]
        threads = [threading.Thread(target=caller.run, args=(until,)) for caller in callers]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        began = time.monotonic()
        fault(seconds)
        ended = time.monotonic()
        if name == EMPTIED:
            assert run_here(*self.load).exit_code == 0
        recovered = seconds_to_recover(self.service.url)
        time.sleep(seconds)
        until.set()
        for thread in threads:
            thread.join()
        self.acknowledged += [event for caller in callers for event in caller.acknowledged]
        self.table[name] = self.seen(callers, began, ended, recovered_s=recovered)

    def seen(
        self, callers: list[Caller], began: float, ended: float, *, recovered_s: float
    ) -> Seen:
        answers = [one for caller in callers for one in caller.answers]
        during = [one for one in answers if began <= one[0] <= ended]
        return Seen(
            answers=len(answers),
            not_answered=dict(Counter(why for one in callers for _, why in one.unanswered)),
            too_short=sum(n < self.n_wanted for _, _, n, _ in answers),
            levels=dict(Counter(level for *_, level in during)),
            before=percentiles([one for one in answers if one[0] < began]),
            during=percentiles(during),
            after=percentiles([one for one in answers if one[0] > ended]),
            events_refused=dict(sum((one.refused for one in callers), Counter[int]())),
            recovered_s=round(recovered_s, 2),
        )


def exported(folder: Path, store_url: str) -> set[str]:
    """Return the ids of the events that the store has, by exporting them."""
    out = folder / "exported"
    variables = {"VITRINE_REDIS_URL": store_url, "VITRINE_STATE_DIR": str(folder / "state")}
    ended = run("app", "export-events", "--out", str(out), **variables)
    assert ended.returncode == 0, ended.stderr
    return set(pl.read_parquet(out / "events.parquet")["event_id"])


@pytest.mark.prove
@pytest.mark.redis
@pytest.mark.slow
def test_faults_under_load_leave_no_page_empty_and_lose_nothing(
    tmp_path: Path, tiny_bundle: tuple[Path, Path], proof: Proof
) -> None:
    if which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    bundle, data = tiny_bundle
    seconds = FAULT_S if proof.share == FULL_SCALE else 0.5
    with running_store(tmp_path / "redis") as store, Proxy(store.port).running() as proxy:
        direct, through = (f"redis://127.0.0.1:{port}/0" for port in (store.port, proxy.port))
        load = ["app", "load", "--data", str(data), "--bundle", str(bundle), "--redis-url", direct]
        assert run_here(*load).exit_code == 0
        options = ["--bundle", str(bundle), "--workers", "2", "--redis-url", through]
        deadlines = {"VITRINE_READ_TIMEOUT_MS": "250", "VITRINE_DEADLINE_MS": "500"}
        with serving(tmp_path, *options, **deadlines) as service:
            service.wait_until("/health/ready", status=200)
            drill = Drill(service, load, n_wanted=10)
            made = Faults(store, proxy, service.process.pid).by_name()
            chosen = made if proof.share == FULL_SCALE else {one: made[one] for one in IN_CHECK}
            lost: Mapping[str, int] = {}
            for name, fault in chosen.items():
                if name == EMPTIED:
                    lost = {"before it": len(set(drill.acknowledged) - exported(tmp_path, direct))}
                drill.suffer(name, fault, seconds)
            if not lost:
                lost = {"in all": len(set(drill.acknowledged) - exported(tmp_path, direct))}
    table = {name: asdict(seen) for name, seen in drill.table.items()}
    figures = {"faults": table, "acknowledged": len(drill.acknowledged), "lost": lost}
    proof.record("chaos", figures)

    assert set(lost.values()) == {0}, figures
    for name, seen in drill.table.items():
        in_flight = N_CALLERS if name == WORKER else 0
        assert sum(seen.not_answered.values()) <= in_flight, (name, figures)
        assert name == EMPTIED or seen.too_short == 0, (name, figures)
