"""Time, memory and speed-up of lists for all customers.

Question: pairs of customer and sale a second and core of `batch-score`, as a share of scoring
alone, of the whole run and of its parts; its memory; and what a second worker brings.

Method: the customers of a dataset are repeated under other names, and its 300 latest sales are open
in every market. A scheduler and each worker are processes of their own, over TCP. Processor time
is by ``/proc``, that of a whole run of the command, the scheduler and the workers, from their start
on; memory is the peak of the resident set. Scoring alone is
`Scorer.score` on queries made before, in this process, and the ranker within it, in turns with
lists of the same customers.

``python -m benchmarks.lists --data DIR --bundle DIR --customers N --workers 1 --workers 2``

Last numbers: see docs/lists.md.
"""

import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import polars as pl
import typer

from benchmarks.results import write_result
from models.catalogue.snapshot import Snapshot
from models.dataset import read_dataset
from models.dataset.customers import CustomerTable
from models.domain.event import from_us
from models.domain.units import SECOND_US
from models.query.query import Query
from models.rules.rule import HIDE_DISLIKED_DAYS
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from models.slate.slate_policy import SlatePolicy
from training.lists.counts import counts_of, sum_of_parts
from training.lists.customers import known_customers
from training.lists.scoring import ListScorer

N_SALES: Final = 300
N_ALONE: Final = 1_000
N_TURNS: Final = 5
TICKS: Final = os.sysconf("SC_CLK_TCK")
ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)

Figures = dict[str, float | int]


def repeated(data: Path, folder: Path, *, n_customers: int) -> int:
    """Write the dataset with so many customers and `N_SALES` open sales; return its last moment."""
    events, sales = (
        pl.read_parquet(data / "events.parquet"),
        pl.read_parquet(data / "sales.parquet"),
    )
    end = events["received_at"].max()
    latest = sales.filter(pl.col("opens_at") < end).sort("opens_at").tail(N_SALES)["sale_id"]
    is_open = pl.col("sale_id").is_in(latest.to_list())
    second, days = timedelta(seconds=1), timedelta(days=3)
    closes = pl.when(is_open).then(pl.lit(end) + days)
    sales = sales.with_columns(
        closes.otherwise(pl.min_horizontal("closes_at", pl.lit(end) - second)).alias("closes_at"),
        pl.lit(None, dtype=sales.schema["markets"]).alias("markets"),
        *(pl.when(~is_open).then(name).alias(name) for name in ("sold_out_at", "stock")),
    ).filter(pl.col("closes_at") > pl.col("opens_at"))
    (folder / "events").mkdir(parents=True)
    sales.write_parquet(folder / "sales.parquet")
    (folder / "images").symlink_to((data / "images").resolve())
    n_each = events["customer_id"].n_unique()
    for number in range(-(-n_customers // n_each)):
        # Ids of events, too: validation compares rows of equal ids.
        named = events.with_columns(pl.col("customer_id", "event_id") + f"-{number}")
        named.write_parquet(folder / "events" / f"{number:05}.parquet")
    last_us: int = events["received_at"].dt.epoch("us").to_numpy().max().item()
    return last_us // SECOND_US * SECOND_US + SECOND_US


def alone(data: Path, bundle: Path, at_us: int) -> Figures:
    """Measure scoring alone, and lists in one process: medians of processor time."""
    dataset, scorer = read_dataset(data), Scorer.load(read_bundle(bundle))
    content = Snapshot.from_sales({one.sale_id: one for one in dataset.sales}, scorer.pictures)
    catalogue = content.catalogue(scorer.topics)
    rows = catalogue.rows_for(dataset.events.sale_keys)
    counts = sum_of_parts(
        [counts_of(dataset.events, rows, at_us=at_us)],
        at_us=at_us,
        n_sales=len(catalogue),
        half_lives=scorer.counts.half_lives,
    )
    lists = ListScorer(
        scorer,
        catalogue.with_counts(counts),
        at_us=at_us,
        policy=SlatePolicy(exploration=None),
        hide_disliked_days=HIDE_DISLIKED_DAYS,
    )
    nobody = CustomerTable.none(pl.Series([], dtype=pl.String))
    customers = list(islice(known_customers(dataset.events, nobody, at_us=at_us), N_ALONE))
    queries = [lists.query(one) for one in customers]
    scores = [scorer.score(query) for query in queries]

    def score(queries: Sequence[Query]) -> None:
        for query in queries:
            scorer.score(query)

    def rank() -> None:
        for one in scores:
            scorer.ranker.probabilities(one.features)

    def turn() -> dict[str, float]:
        # Anew: a query keeps the customer's history once it was joined with the sales.
        fresh = [lists.query(one) for one in customers]
        works: dict[str, Callable[[], object]] = {
            "score": lambda: score(fresh),
            "ranker": rank,
            "lists": lambda: lists.lists(customers, limit=100, n_explained=0),
        }
        return {name: _processor_s(work) for name, work in works.items()}

    # In turns: other work on the machine slows all of them alike.
    taken = [turn() for _ in range(N_TURNS)]
    n_pairs = sum(len(query.rows) for query in queries)
    return {
        f"{name}_pairs_per_s": n_pairs / median([one[name] for one in taken]) for name in taken[0]
    }


def _processor_s(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def with_workers(data: Path, bundle: Path, out: Path, *, at_us: int, n_workers: int) -> Figures:
    """Make all lists with so many workers over TCP."""
    with ExitStack() as stack:
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        scheduler = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        others = [stack.enter_context(running("distributed.cli.dask_scheduler", *scheduler))]
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
        workers = [
            stack.enter_context(running("distributed.cli.dask_worker", address, *options))
            for _ in range(n_workers)
        ]
        command = ["training", "batch-score", "--data", str(data), "--bundle", str(bundle)]
        command += ["--out", str(out), "--at", from_us(at_us).isoformat()[:19]]
        started_s = time.monotonic()
        before_s = _ended_s()
        with running(*command, "--scheduler", address) as process:
            _, said = process.communicate()
            assert process.returncode == 0, said
        taken_s = time.monotonic() - started_s
        command_s = _ended_s() - before_s
        worked_s = sum(_worked_s(one.pid) for one in workers)
        all_s = command_s + worked_s + sum(_worked_s(one.pid) for one in others)
        peak_mb = max(_peak_mb(one.pid) for one in workers)
    summary = json.loads((out / "lists.json").read_text())
    seconds = dict(re.findall(r"^(\w+):.* done, ([\d.]+) s$", said, re.MULTILINE))
    n_pairs = summary["customers"] * N_SALES
    return {
        "customers": summary["customers"],
        "parts": summary["parts"],
        "seconds": round(taken_s, 1),
        **{f"{stage}_s": float(taken) for stage, taken in seconds.items()},
        "worker_processor_s": round(worked_s, 1),
        "command_processor_s": round(command_s, 1),
        "pairs_per_core_s": n_pairs / worked_s,
        "pairs_per_core_s_of_all": n_pairs / all_s,
        "peak_mb_of_a_worker": round(peak_mb),
        "mb": sum(one.stat().st_size for one in out.rglob("*.parquet")) / 2**20,
    }


@contextmanager
def running(*command: str) -> Generator[subprocess.Popen[str]]:
    """Run ``python -m`` with one thread a library while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=os.environ | ONE_THREAD,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if command[0] == "training" else subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _worked_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / TICKS


def _ended_s() -> float:
    """Return the processor time of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_mb(pid: int) -> float:
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line) / 2**10


def main(
    data: Annotated[Path, typer.Option(help="Dataset of the simulator.")],
    bundle: Annotated[Path, typer.Option(help="A bundle of it.")],
    customers: Annotated[int, typer.Option(help="Number of customers.")] = 10_000,
    workers: Annotated[list[int] | None, typer.Option(help="Numbers of workers.")] = None,
) -> None:
    """Measure lists for all customers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        at_us = repeated(data, folder / "data", n_customers=customers)
        figures: dict[str, object] = {"events_mb": _mb(folder / "data" / "events")}
        for n_workers in workers or [1]:
            out = folder / f"lists-{n_workers}"
            found = with_workers(folder / "data", bundle, out, at_us=at_us, n_workers=n_workers)
            figures[f"{n_workers} workers"] = found
        small = folder / "small"
        repeated(data, small, n_customers=1)
        figures["alone"] = alone(small, bundle, at_us)
        write_result(f"lists-{customers}", figures)


def _mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 2**20


if __name__ == "__main__":
    typer.run(main)
