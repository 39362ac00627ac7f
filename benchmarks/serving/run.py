"""Answers a second of one worker on one core, their latency, and both beside floors and peers.

Question: what does a full answer of `GET /v1/recommendations?limit=10` cost, by the number of open
sales: with features, ranking, exposure log and metrics?

Method: ``make bench-serve``. The worker runs on core 0, the store and the load on core 1. Each
round takes all servers in turns: a closed loop for throughput and processor time, then an open loop
at half of that rate for latency (`benchmarks.serving.load`); the table has medians of the rounds.
Floors are measured in the same round: a FastAPI route that returns at once, one read of the store,
the meta-model on ready rows (the faster of ours and of LightGBM), and JSON. ``efficiency`` is their
sum by the processor time of an answer. Peers run in environments of their own and do less: the
first of the two models alone, on 300 ready rows, without features, experiments, log and metrics.

It can be measured in pieces: ``python -m benchmarks.serving.run --sales 300 --rounds 1``, and then
further runs with ``--more``.

Last numbers: docs/performance.md; see results/benchmarks/serving.json after `make bench-serve`.
"""

import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import httpx
import numpy as np
import typer

from app.stores.embedded import embedded_server
from benchmarks.bench_load import cpu_s
from benchmarks.environments import ENVIRONMENTS, environment
from benchmarks.results import write_result
from benchmarks.serving.floors import rows_of
from benchmarks.serving.load import Address, closed_loop, open_loop, precise_loop
from benchmarks.serving.shop import customers, fill, make_bundle
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.end_to_end.service import serving
from tests.proofs import ROOT

HERE: Final = ROOT / "benchmarks" / "serving"
WORKER_CORE, LOAD_CORE = 0, 1
N_CALLERS: Final = 8
WARM_UP_S: Final = 1.0
START_TIMEOUT_S: Final = 60.0
# The peers and floors have as many rows as this shop has eligible sales; the usual size.
N_ROWS: Final = 300
PEERS: Final = {"LitServe": "ranked", "BentoML": "bento", "FastAPI and HGETALL": "hashes"}
"""Script and environment of each peer."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    address: Address
    pid: int
    request: Callable[[], bytes]


@contextmanager
def on_core(core: int) -> Generator[None]:
    """Start processes on a core while the block runs."""
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})


def get(path: str) -> bytes:
    """Return the bytes of a request for a path."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: Mapping[str, str]) -> bytes:
    """Return the bytes of a request with a JSON body."""
    content = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode()


@contextmanager
def vitrine(
    folder: Path, bundle: Path, n_sales: int, *, program: Sequence[str] = ("app",)
) -> Generator[Running]:
    """Serve so many open sales; without a deadline that would cut answers short."""
    state, known = folder / f"state-{n_sales}", customers(folder)
    with ExitStack() as stack:
        stack.enter_context(embedded_server(state))
        with on_core(WORKER_CORE):
            service = stack.enter_context(
                serving(
                    folder,
                    *("--bundle", str(bundle)),
                    program=program,
                    VITRINE_STATE_DIR=str(state),
                    VITRINE_BUNDLES=str(bundle.parent),
                )
            )
        service.wait_until("/health/ready", status=200)
        url = httpx.URL(service.url)

        def request() -> bytes:
            return get(f"/v1/recommendations?customer_id={random.choice(known)}&limit=10")

        yield Running((url.host, url.port or 0), service.process.pid, request)


@contextmanager
def script(name: str, request: Callable[[], bytes], *arguments: str) -> Generator[Running]:
    """Run a script of the peers in its environment, or in this one if it has none."""
    requirements = HERE / "requirements" / f"{name}.txt"
    python = environment(requirements, ENVIRONMENTS) if requirements.exists() else sys.executable
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [python, HERE / "peers" / f"{name}.py", str(port), *arguments]
    with on_core(WORKER_CORE):
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
    try:
        wait_for(("127.0.0.1", port), request)
        yield Running(("127.0.0.1", port), process.pid, request)
    finally:
        # With what it started: LitServe's workers outlive the process that started them.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(address: Address, request: Callable[[], bytes]) -> None:
    """Return once a server answers a request with 200."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(address, timeout=5.0) as connection:
                connection.sendall(request())
                if connection.recv(64)[9:12] == b"200":
                    return
        except OSError:
            pass
        time.sleep(0.1)
    msg = f"no answer from {address}"
    raise TimeoutError(msg)


def measured(running: Running, *, run_s: float, seed: int) -> Figures:
    """Ask a server in a closed loop, then at half of that rate in an open one."""
    address, request = running.address, running.request
    closing = closed_loop(
        address,
        request,
        n_callers=N_CALLERS,
        warm_up_s=WARM_UP_S,
        run_s=run_s,
        cpu_s=lambda: cpu_s(running.pid),
    )
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        closed = runner.run(closing)
        assert closed.took_ms, f"no complete answer, but {closed.n_other} others"
        rate = closed.per_second / 2
        opening = open_loop(address, request, per_second=rate, run_s=run_s, seed=seed)
        opened = runner.run(opening)
    return {
        "per_second": closed.per_second,
        "cpu_ms": closed.cpu_s / len(closed.took_ms) * 1_000,
        "incomplete": closed.n_other + opened.n_other,
        "half_p50_ms": opened.percentile(50),
        "half_p99_ms": opened.percentile(99),
    }


def floors(bundle: Path, state: Path, customer: str) -> Figures:
    """Measure the floors on the worker's core."""
    arguments = [str(bundle), str(state), customer, str(N_ROWS)]
    with embedded_server(state), on_core(WORKER_CORE):
        command = [sys.executable, "-m", "benchmarks.serving.floors", *arguments]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@contextmanager
def peer(name: str, folder: Path) -> Generator[Running]:
    """Run a peer over the rows of a folder."""
    body = {"customer_id": "c-1"}
    match name:
        case "ranked":
            request = post("/predict", body)
        case "bento":
            request = post("/rank", body)
        case _:
            request = get("/rank?customer_id=c-1")
    with embedded_server(folder / "state-peers") as url:
        path = url.removeprefix("unix://")
        with script(name, lambda: request, str(folder), path) as running:
            yield running


def one_round(
    folder: Path, bundle: Path, sizes: list[int], *, peers: list[str], run_s: float, seed: int
) -> dict[str, Figures]:
    """Measure every server once."""
    state = folder / f"state-{sizes[0]}"
    found = {"floors": floors(bundle, state, customers(folder)[0])}
    with script("empty", lambda: get("/")) as running:
        found["empty route"] = measured(running, run_s=run_s, seed=seed)
    for n_sales in sizes:
        with vitrine(folder, bundle, n_sales) as running:
            found[f"Vitrine, {n_sales} sales"] = measured(running, run_s=run_s, seed=seed)
    for name in peers:
        with peer(PEERS[name], folder) as running:
            found[name] = measured(running, run_s=run_s, seed=seed)
    return found


def medians(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Take the median of each figure over the rounds that have it, and the efficiency of rows."""
    rows = {name: row for one in rounds for name, row in one.items()}
    table = {
        name: {
            figure: round(statistics.median(one[name][figure] for one in rounds if name in one), 3)
            for figure in row
        }
        for name, row in rows.items()
    }
    parts = table["floors"]
    ranking_us = min(parts["booster"], parts["meta_model"])
    floor_ms = (parts["redis_read"] + ranking_us + parts["json"]) / 1_000
    floor_ms += table["empty route"]["cpu_ms"]
    parts["sum_ms"] = round(floor_ms, 3)
    for name, row in table.items():
        if name.startswith("Vitrine"):
            row["efficiency"] = round(floor_ms / row["cpu_ms"], 3)
    return table


def markdown(table: Mapping[str, Figures]) -> str:
    """Return the table of servers as Markdown."""
    lines = [
        "| server | answers/s | CPU ms | p50 ms | p99 ms | incomplete | efficiency |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in table.items():
        if name != "floors":
            cells = (
                f"{row['per_second']:.0f}",
                f"{row['cpu_ms']:.2f}",
                f"{row['half_p50_ms']:.2f}",
                f"{row['half_p99_ms']:.2f}",
                f"{row['incomplete']:.0f}",
                f"{row['efficiency']:.2f}" if "efficiency" in row else "",
            )
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    folder: Annotated[Path, typer.Option(help="Where bundle and stores are kept.")] = Path(
        "var/bench-serve"
    ),
    sales: Annotated[list[int], typer.Option(help="Open sales; repeat.")] = [30, 300, 1_000],  # noqa: B006
    peers: Annotated[list[str], typer.Option(help="Peers; repeat. `none` for none.")] = [*PEERS],  # noqa: B006
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    run_s: Annotated[float, typer.Option(min=0.5, help="Seconds of each loop.")] = 4.0,
    more: Annotated[bool, typer.Option(help="Keep the rounds of earlier runs.")] = False,
) -> None:
    """Print the table, and write results/benchmarks/serving.json and serving.md."""
    os.sched_setaffinity(0, {LOAD_CORE})
    folder.mkdir(parents=True, exist_ok=True)
    bundle = make_bundle(folder)
    for n_sales in sales:
        fill(folder, bundle, n_sales)
    scorer = Scorer.load(read_bundle(bundle))
    np.save(folder / "rows.npy", rows_of(scorer, N_ROWS))
    (folder / "model.txt").write_bytes((bundle / "ranker.txt").read_bytes())
    kept, chosen = folder / "rounds.json", [one for one in peers if one in PEERS]
    found: list[dict[str, Figures]] = json.loads(kept.read_bytes()) if more else []
    for seed in range(len(found), len(found) + rounds):
        found.append(one_round(folder, bundle, sales, peers=chosen, run_s=run_s, seed=seed))
        kept.write_text(json.dumps(found), encoding="utf-8")
    table = medians(found)
    write_result("serving", table)
    text = markdown(table)
    (ROOT / "results" / "benchmarks" / "serving.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    typer.run(main)
