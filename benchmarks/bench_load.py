"""Goodput under load: full answers a second of one and two workers, and what each costs.

Question: full answers, lower levels and refusals a second, their latencies, the CPU time of a full
answer and the longest health checks, with 1 to 512 callers of `GET /v1/recommendations`, none or a
fifth of whose requests post an event.

Method: closed loop: every caller has a keep-alive connection and asks again as soon as it was
answered; the health routes are asked over new connections. Settings are the defaults (a deadline of
50 ms). Each cell runs for a fixed time after a warm-up; all cells in turns, medians of the rounds.
The callers of this process take CPU of the same machine (`client_cpu` cores of it), and so does the
store: ratios within one run are what counts. CPU times are those of the whole service with its
embedded store, from /proc (Linux).

Last numbers: see results/benchmarks/load.json after `make bench`, and decision 0035.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import polars as pl

from benchmarks.results import write_result
from tests.end_to_end.callers import Load, calling
from tests.end_to_end.service import Service, run, serving
from tests.worlds import END_US, train_bundle
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

CALLERS = (1, 8, 32, 128, 512)
WORKERS = (1, 2)
EVENT_SHARES = (0.0, 0.2)
N_ROUNDS = 3
RUN_S = 4.0
WARM_UP_S = 1.5
HEALTH_PATHS = ("/health/live", "/health/ready")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Figures = dict[str, float]


@dataclass(frozen=True)
class Shop:
    """A bundle, the data that it was trained on, and the state of a service."""

    folder: Path
    bundle: Path
    customers: list[str]

    @contextmanager
    def served(self, n_workers: int) -> Generator[Service]:
        """Run the service with the settings that it has by default."""
        defaults = {"VITRINE_DEADLINE_MS": "50", "VITRINE_READ_TIMEOUT_MS": "30"}
        workers = {"VITRINE_WORKERS": str(n_workers)}
        with serving(self.folder, "--bundle", str(self.bundle), **defaults, **workers) as service:
            service.wait_until("/health/ready", status=200)
            yield service


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of those below it that live."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    below = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for file in below for child in file.read_text().split()]
    return sum(map(int, fields[11:13])) / TICKS_PER_S + sum(map(cpu_s, children))


async def measure(
    service: Service, customers: list[str], *, n_callers: int, event_share: float
) -> Figures:
    """Run callers for a while, and return the figures per second."""
    parts = urlsplit(service.url)
    load = Load((parts.hostname or "", parts.port or 0), customers, event_share)
    async with calling(load, n_callers, warm_up_s=WARM_UP_S):
        started = time.perf_counter(), time.process_time(), cpu_s(service.process.pid)
        checks = [asyncio.create_task(load.check(path)) for path in HEALTH_PATHS]
        await asyncio.sleep(RUN_S)
        ended = time.perf_counter(), time.process_time(), cpu_s(service.process.pid)
        took_ms, load.took_ms, load.is_over = load.took_ms, {}, True
        await asyncio.gather(*checks)
    run_s, client_s, service_s = (
        after - before for before, after in zip(started, ended, strict=True)
    )
    n_full = len(took_ms.get("full", []))
    p50, p99 = np.percentile(np.concatenate(list(took_ms.values())), [50, 99])
    return {
        "full_per_s": n_full / run_s,
        **{f"{kind}_per_s": len(each) / run_s for kind, each in took_ms.items()},
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        **{
            f"{path.rpartition('/')[2]}_{name}_ms": float(figure)
            for path, each in load.health_ms.items()
            for name, figure in (("p99", np.percentile(each, 99)), ("max", max(each)))
        },
        "cpu_ms_per_full": service_s / n_full * 1_000 if n_full else 0.0,
        "client_cpu": client_s / run_s,
    }


def one_round(shop: Shop) -> dict[tuple[int, float, int], Figures]:
    """Measure each number of workers, share of events and number of callers."""
    figures: dict[tuple[int, float, int], Figures] = {}
    for n_workers in WORKERS:
        with shop.served(n_workers) as service:
            for share, n in product(EVENT_SHARES, CALLERS):
                measuring = measure(service, shop.customers, n_callers=n, event_share=share)
                figures[n_workers, share, n] = asyncio.run(measuring)
    return figures


def medians(rounds: list[dict[tuple[int, float, int], Figures]]) -> dict[str, dict[str, Figures]]:
    """Take the median of each figure; a missing figure of a round is 0."""
    table: dict[str, dict[str, Figures]] = {}
    for cell in rounds[0]:
        n_workers, share, n_callers = cell
        names = sorted({name for one in rounds for name in one[cell]})
        table.setdefault(f"{n_workers} workers, {share:.0%} events", {})[f"{n_callers} callers"] = {
            name: round(statistics.median(one[cell].get(name, 0.0) for one in rounds), 2)
            for name in names
        }
    for row in table.values():
        best = max(cell["full_per_s"] for cell in row.values())
        for cell in row.values():
            cell["full_of_best"] = round(cell["full_per_s"] / best, 2)
    return table


def make_shop(folder: Path) -> Shop:
    """Simulate a shop, train a bundle on it, and load it into the store of the folder."""
    data = folder / "data"
    period = Period.ending(END_US, 10)
    create_world(data, WORLDS["standard"], period=period, n_customers=600, seed=1)
    bundle = train_bundle(data, folder / "bundles", cache=folder / "cache")
    arguments = ["--data", str(data), "--bundle", str(bundle)]
    loaded = run("app", "load", *arguments, VITRINE_STATE_DIR=str(folder / "state"))
    assert loaded.returncode == 0, loaded.stderr
    customers: list[str] = pl.read_parquet(data / "customers.parquet")["customer_id"].to_list()
    return Shop(folder, bundle, customers)


def test_load(tmp_path: Path) -> None:
    """Measure all cells in turns."""
    shop = make_shop(tmp_path)
    write_result("load", medians([one_round(shop) for _ in range(N_ROUNDS)]))
