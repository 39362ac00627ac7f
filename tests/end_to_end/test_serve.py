"""The whole service: a real process, a real bundle, a real store, real HTTP."""

import asyncio
import os
import re
import shutil
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from app.stores.embedded import embedded_server
from app.stores.store import Stores
from models.domain.event import from_us
from tests.end_to_end.faults import worker_pids
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, run, serving
from tests.logs import DAY
from tests.shop import sale
from tests.worlds import END_US

SALES = [sale(f"s{number}", category="ski" if number % 2 else "city") for number in range(12)]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: tuple[Path, Path]) -> Path:
    return tiny_bundle[0]


def put_sales(url: str) -> None:
    async def put() -> None:
        stores = Stores.open(url)
        await stores.sales.put(SALES)
        await stores.server.close()

    asyncio.run(put())


def view(number: int) -> dict[str, str]:
    return {
        "event_id": f"e{number}",
        "customer_id": f"c{number}",
        "type": "view",
        "sale_id": "s1",
        "at": datetime.now(UTC).isoformat(),
    }


def answers_after_own_event(url: str, n_customers: int) -> Counter[tuple[int, str | None, int]]:
    """Status, level and length of each customer's answer right after their own event."""
    found: Counter[tuple[int, str | None, int]] = Counter()
    for number in range(n_customers):
        posted = http.post(f"{url}/v1/events", json={"events": [view(number)]})
        assert posted.json()["accepted"] == 1
        answer = http.get(f"{url}/v1/recommendations?customer_id=c{number}")
        found[answer.status_code, answer.json()["degraded"], len(answer.json()["items"])] += 1
    return found


def assert_drift_is_told_once(metrics: str) -> None:
    """However many workers count, what training was like adds up to one."""
    trained = re.findall(r"^vitrine_trained_score_share\{.*\} (.+)$", metrics, re.MULTILINE)
    scored = re.findall(r"^vitrine_scored_candidates_total\{.*\} (.+)$", metrics, re.MULTILINE)
    assert sum(map(float, trained)) == pytest.approx(1.0)
    assert len(trained) == len(scored)
    assert sum(map(float, scored)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_serves_from_start_to_stop(tmp_path: Path, bundle: Path, workers: str) -> None:
    with serving(tmp_path, "--bundle", str(bundle), "--workers", workers) as service:
        service.wait_until("/health/ready", status=200)
        with embedded_server(tmp_path / "state") as store_url:
            put_sales(store_url)
        wait_for_sales(service.url)

        answers = answers_after_own_event(service.url, 20)
        metrics = http.get(f"{service.url}/metrics").text
        status = service.stop()

    assert answers == {(200, None, 10): 20}
    assert 'vitrine_events_total{reason="",status="accepted"} 20.0' in metrics.splitlines()
    assert_drift_is_told_once(metrics)
    assert status == 0
    assert "Traceback" not in service.log.read_text()


@pytest.mark.slow
def test_a_second_service_with_the_same_state_leaves_the_metrics_of_the_first(
    tmp_path: Path, bundle: Path
) -> None:
    options = ("--bundle", str(bundle), "--workers", "2")
    state = {"VITRINE_STATE_DIR": str(tmp_path / "state")}
    (tmp_path / "second").mkdir()
    with serving(tmp_path, *options, **state) as first:
        first.wait_until("/health/ready", status=200)
        http.post(f"{first.url}/v1/events", json={"events": [view(1)]})

        with serving(tmp_path / "second", *options, **state) as second:
            second.wait_until("/health/ready", status=200)
            metrics = [http.get(f"{one.url}/metrics").text for one in (first, second)]

    accepted = 'vitrine_events_total{reason="",status="accepted"} 1.0'
    assert [accepted in text.splitlines() for text in metrics] == [True, False]


def wait_for_sales(url: str) -> None:
    """Return when both workers, which answer in turn, have seen the sales."""
    n_seen = 0
    while n_seen < 20:
        answer = http.get(f"{url}/v1/recommendations?customer_id=c&limit=1")
        n_seen = n_seen + 1 if answer.json()["items"][:1] else 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_under_load_fails_no_request(tmp_path: Path, bundle: Path, workers: str) -> None:
    statuses: Counter[int] = Counter()
    failed: list[str] = []
    ready: list[int] = []
    stopped = threading.Event()

    def ask(url: str) -> None:
        while not stopped.is_set():
            try:
                answer = http.get(f"{url}/v1/recommendations?customer_id=c1")
            except httpx.HTTPError as exc:
                failed.append(repr(exc))
                return
            statuses[answer.status_code] += 1

    options = ("--bundle", str(bundle), "--workers", workers)
    with serving(tmp_path, *options, VITRINE_DRAIN_S="3") as service:
        service.wait_until("/health/ready", status=200)
        threads = [threading.Thread(target=ask, args=(service.url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        service.process.terminate()
        ready.append(service.wait_until("/health/ready", status=503).status_code)
        stopped.set()  # a balancer that reads this goes elsewhere
        assert service.process.wait(60) == 0
        for thread in threads:
            thread.join()

    assert ready == [503]
    assert failed == []
    assert set(statuses) == {200}


@pytest.mark.slow
def test_who_comes_after_a_stop_is_refused_and_not_cut_off(tmp_path: Path, bundle: Path) -> None:
    n_workers = 2
    times_cut_off: list[int] = []

    def ask_until_refused(url: str) -> None:
        times = 0
        while True:
            try:
                http.get(f"{url}/health/live")
            except httpx.ConnectError:
                break
            except httpx.HTTPError:
                times += 1
        times_cut_off.append(times)

    with serving(tmp_path, "--bundle", str(bundle), "--workers", str(n_workers)) as service:
        service.wait_until("/health/ready", status=200)
        threads = [
            threading.Thread(target=ask_until_refused, args=(service.url,)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        status = service.stop()
        for thread in threads:
            thread.join()

    assert status == 0
    # Whoever connects in the very moment in which a worker closes may be cut off still.
    assert max(times_cut_off) <= n_workers, times_cut_off
    assert len(times_cut_off) == len(threads)


@pytest.mark.slow
def test_it_answers_while_the_store_is_down_at_start(tmp_path: Path, bundle: Path) -> None:
    with serving(
        tmp_path, "--bundle", str(bundle), "--redis-url", f"unix://{tmp_path}/nobody.sock"
    ) as service:
        service.wait_until("/health/live", status=200)

        ready = http.get(f"{service.url}/health/ready")
        full = http.get(f"{service.url}/health/full")
        answer = http.get(f"{service.url}/v1/recommendations?customer_id=c1")

        assert ready.status_code == 200
        assert (full.status_code, full.json()["code"]) == (503, "not_in_full")
        assert "store: the store is unavailable" in full.json()["detail"]
        assert (answer.status_code, answer.json()["degraded"]) == (200, "snapshot")
        assert "start the store or correct VITRINE_REDIS_URL" in service.log.read_text()


@pytest.mark.slow
def test_a_plan_that_cannot_be_read_is_named_in_one_line_and_nothing_starts(
    tmp_path: Path, bundle: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("layers: 3")
    result = run(
        *("app", "serve", "--port", "0", "--workers", "2", "--bundle", str(bundle)),
        VITRINE_PLAN=str(plan),
        VITRINE_STATE_DIR=str(tmp_path / "state"),
    )

    assert result.returncode == 1
    assert f"error: {plan} holds no plan of experiments: layers" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_bundle_with_a_flipped_byte_is_not_served(tmp_path: Path, bundle: Path) -> None:
    copy = tmp_path / bundle.name
    shutil.copytree(bundle, copy)
    content = bytearray((copy / "ranker.txt").read_bytes())
    content[1_000] ^= 1
    (copy / "ranker.txt").write_bytes(content)

    result = run("app", "serve", "--port", "0", "--bundle", str(copy))

    assert result.returncode == 1
    assert "ranker.txt has sha256" in result.stderr
    assert "Traceback" not in result.stderr


def wait_for_line(service: Service, text: str) -> None:
    while text not in service.log.read_text():
        assert service.process.poll() is None
        time.sleep(0.1)


@pytest.mark.slow
def test_a_stopped_worker_is_named_replaced_and_leaves_no_metrics_behind(
    tmp_path: Path, bundle: Path
) -> None:
    options = ("--bundle", str(bundle), "--workers", "2")
    shared = tmp_path / "shared"
    settings = {"VITRINE_METRICS_DIR": str(shared), "VITRINE_WORKER_LOST_S": "7"}
    with serving(tmp_path, *options, **settings) as service:
        while service.log.read_text().count("a worker is ready") < 2:
            time.sleep(0.1)
        pids = {re.sub(r".*_(\d+)\.db$", r"\1", str(path)) for path in shared.glob("*/*.db")}
        worker = worker_pids(service.process.pid)[0]
        os.kill(worker, signal.SIGSTOP)
        wait_for_line(service, "a worker is silent: it hangs, or was stopped")
        os.kill(worker, signal.SIGCONT)
        wait_for_line(service, "a worker is heard again")
        os.kill(worker, signal.SIGSTOP)
        wait_for_line(service, "a worker is silent for too long and is killed")
        wait_for_line(service, "a worker died and is replaced")
        while service.log.read_text().count("a worker is ready") < 3:
            time.sleep(0.1)
        assert worker not in worker_pids(service.process.pid)
        status = service.stop()

    assert str(worker) in pids
    assert (status, list(shared.iterdir())) == (0, [])


@pytest.mark.slow
@pytest.mark.clock
def test_a_past_is_served_as_of_then(tmp_path: Path, tiny_bundle: tuple[Path, Path]) -> None:
    """Two days before its data ends a shop offers what was open then, and knows nothing later."""
    bundle, world = tiny_bundle
    moment = from_us(END_US - 2 * DAY)
    options = ("--bundle", str(bundle), "--as-of", f"{moment:%Y-%m-%dT%H:%M:%S}")
    events = pl.read_parquet(world / "events.parquet").sort("at")
    customer, last = events.filter(pl.col("received_at") < moment)["customer_id", "at"].row(-1)
    with serving(tmp_path, *options) as service:
        service.wait_until("/health/ready", status=200)
        state = str(tmp_path / "state")
        loaded = run_here("app", "load", "--data", str(world), "--json", VITRINE_STATE_DIR=state)
        assert loaded.exit_code == 0, loaded.output
        query = f"customer_id={customer}&market=fr&limit=100"
        answer = service.wait_until(f"/v1/recommendations?{query}", status=200).json()
        while answer["degraded"] is not None:
            answer = http.get(f"{service.url}/v1/recommendations?{query}").json()
        known = http.get(f"{service.url}/v1/customers/{customer}").json()

    # The clock runs on: what opens or closes within an hour may be offered or not.
    hour = timedelta(hours=1)
    sales = pl.read_parquet(world / "sales.parquet").filter(pl.col("markets").list.contains("fr"))
    opens_at, closes_at = pl.col("opens_at"), pl.min_horizontal("closes_at", "sold_out_at")
    surely = sales.filter((opens_at <= moment) & (closes_at > moment + hour))
    maybe = sales.filter((opens_at <= moment + hour) & (closes_at > moment))
    offered = {item["sale_id"] for item in answer["items"]}
    assert set(surely["sale_id"]) <= offered <= set(maybe["sale_id"])
    times = [one["at"] for one in [*known["events"], *known["shown"]]]
    assert f"{last:%Y-%m-%dT%H:%M:%S}" <= max(times) < f"{moment + hour:%Y-%m-%dT%H:%M:%S}"
