"""Lists of all customers equal answers over HTTP, and survive any end of a run."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from models.domain.event import from_us
from models.domain.units import HOUR_US
from tests.clock import clock_library, clocked_store, stopped_store
from tests.contract.servers import free_port
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import INHERITED, http, serving
from tests.proofs import ROOT, Proof
from tests.worlds import END_US, N_CUSTOMERS, train_bundle, write_world

LIBRARY: Final = clock_library()
AT_US: Final = END_US + 90 * 1_000_000
N_SAMPLED: Final = 1_000
N_SAMPLED_SMALL: Final = 30
N_KILLS: Final = 20
N_KILLS_SMALL: Final = 2
N_SCHEDULERS: Final = 6
N_LIMITS: Final = 8
N_PARTS: Final = 6
N_EXPLAINED: Final = 2
N_LISTED: Final = 30  # the default of `load-lists`
LIMIT_S: Final = 600.0  # of a command; chosen: proofs run beside other work
SAME: Final = ("sale_id", "purchase_probability", "reason")


@dataclass(frozen=True)
class Shop:
    """A dataset and a bundle.

    Attributes:
        data: The dataset.
        bundle: The bundle.
        cache: Picture scores.
    """

    data: Path
    bundle: Path
    cache: Path

    def command(self, out: Path, *options: str) -> list[str]:
        """Return the arguments of a run of many parts."""
        named = {
            "--data": self.data,
            "--bundle": self.bundle,
            "--out": out,
            "--cache": self.cache,
            "--at": from_us(AT_US).isoformat()[:19],
            "--parts": N_PARTS,
            "--explained": N_EXPLAINED,
        }
        pairs = [str(each) for pair in named.items() for each in pair]
        return ["training", "batch-score", *pairs, *options]


@pytest.fixture(scope="module")
def shop(
    tiny_bundle: tuple[Path, Path],
    picture_cache: Path,
    proof_share: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    """Give the small shop of all tests, or one with more customers to prove in full."""
    bundle, data = tiny_bundle
    if round(N_SAMPLED * proof_share) > N_CUSTOMERS:
        folder = tmp_path_factory.mktemp("lists")
        data = write_world(folder / "data", seed=7, n_customers=N_SAMPLED + 200)
        bundle = train_bundle(data, folder / "bundles", cache=picture_cache)
    return Shop(data, bundle, picture_cache)


@pytest.fixture(scope="module")
def whole(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the lists of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "lists"
    made = run_here(*shop.command(out, "--processes", "1"))
    assert made.exit_code == 0, made.output
    return out


def files_of(out: Path) -> dict[str, bytes]:
    """Return all files of a run, by name."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def lists_in(out: Path) -> pl.DataFrame:
    """Return the lists of all customers."""
    return pl.concat([pl.read_parquet(path) for path in sorted(out.glob("parts/*.parquet"))])


@contextmanager
def started(
    *command: str, limit: Callable[[], None] | None = None
) -> Generator[subprocess.Popen[str]]:
    """Run ``python -m`` in a process group of its own, which is killed in the end."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=inherited,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=limit,
    )
    try:
        yield process
    finally:
        kill_group(process)
        process.communicate(timeout=LIMIT_S)


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a command and all of its workers, as a power cut does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command and return what it printed."""
    output, _ = process.communicate(timeout=LIMIT_S)
    return output


@pytest.mark.prove
@pytest.mark.clock
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
def test_a_list_is_the_answer_of_that_moment_bit_for_bit(
    shop: Shop, whole: Path, tmp_path: Path, proof: Proof, rng: np.random.Generator
) -> None:
    assert LIBRARY is not None
    lists = lists_in(whole).group_by("customer_id", maintain_order=True).agg(pl.all())
    n_sampled = min(max(N_SAMPLED_SMALL, proof.scale(N_SAMPLED)), lists.height)
    sampled = lists[np.sort(rng.choice(lists.height, size=n_sampled, replace=False)).tolist()]
    with stopped_store(LIBRARY, tmp_path, at_us=AT_US) as store_url:
        options = ("--bundle", str(shop.bundle), "--redis-url", store_url)
        loaded = run_here("app", "load", "--data", str(shop.data), *options)
        assert loaded.exit_code == 0, loaded.output
        with serving(tmp_path, *options) as service:
            service.wait_until("/health/ready", status=200)
            differing = [
                row["customer_id"]
                for row in sampled.iter_rows(named=True)
                if answer_to(service.url, row)
                != list(zip(*(row[name] for name in SAME), strict=True))
            ]

    assert differing == []
    proof.record("lists_equal_answers", {"customers": n_sampled, "differing": 0})


@pytest.mark.clock
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
def test_without_a_model_answers_are_lists_of_what_is_still_open(
    shop: Shop, whole: Path, tmp_path: Path
) -> None:
    """Half a day later, by a plan whose order no bundle has; replayed bit for bit."""
    assert LIBRARY is not None
    later_us = AT_US + 12 * HOUR_US
    lists = lists_in(whole).filter(pl.col("market").is_not_null() & (pl.col("rank") <= N_LISTED))
    asked = lists.group_by("customer_id", maintain_order=True).agg(pl.all()).head(10)
    plan = tmp_path / "plan.yaml"
    plan.write_text("default: {order_by: absent}")
    with clocked_store(LIBRARY, tmp_path, at_us=later_us) as store:
        options = ("--bundle", str(shop.bundle), "--redis-url", store.url)
        kept = {"VITRINE_STATE_DIR": str(tmp_path / "state")}
        loads = (
            run_here("app", "load", "--data", str(shop.data), *options, **kept),
            run_here("app", "load-lists", "--lists", str(whole), *options[2:], **kept),
        )
        assert [one.exit_code for one in loads] == [0, 0], [one.output for one in loads]
        with serving(tmp_path, *options, VITRINE_PLAN=str(plan)) as service:
            service.wait_until("/health/ready", status=200)
            answers = [without_model(service.url, row) for row in asked.iter_rows(named=True)]
        out = tmp_path / "out"
        exported = run_here("app", "export-events", "--out", str(out), *options[2:], **kept)
        assert exported.exit_code == 0, exported.output
    replayed = run_here("app", "replay", "--all", str(out), VITRINE_BUNDLE=str(shop.bundle), **kept)

    closed = closed_at(shop.data, later_us)
    shown = [[item["sale_id"] for item in answer["items"]] for answer in answers]
    for row, sale_ids in zip(asked.iter_rows(named=True), shown, strict=True):
        still_open = [sale_id for sale_id in row["sale_id"] if sale_id not in closed]
        assert sale_ids[: len(still_open)] == still_open
        assert not closed.intersection(sale_ids)
    assert closed.intersection(lists["sale_id"])
    assert {answer["degraded"] for answer in answers} == {"list"}
    assert replayed.exit_code == 0, replayed.output


def without_model(url: str, row: dict[str, Any]) -> dict[str, Any]:
    """Ask for all that is open in the customer's market."""
    asked = {"customer_id": row["customer_id"], "market": row["market"][0], "limit": 100}
    answer: dict[str, Any] = http.get(f"{url}/v1/recommendations", params=asked).json()
    return answer


def closed_at(data: Path, at_us: int) -> set[str]:
    """Return the sales that are over at a moment."""
    sales, at = pl.read_parquet(data / "sales.parquet"), from_us(at_us)
    over = (pl.col("closes_at") <= at) | (pl.col("sold_out_at") <= at) | (pl.col("stock") == 0)
    return set(sales.filter(over)["sale_id"])


def answer_to(url: str, row: dict[str, Any]) -> list[tuple[str, float, str | None]]:
    """Ask as the customer of a list would, for one sale more if there is any; return `SAME`."""
    asked = {"customer_id": row["customer_id"], "limit": min(len(row["rank"]) + 1, 100)}
    asked |= {name: row[name][0] for name in ("market", "device") if row[name][0] is not None}
    answer = http.get(f"{url}/v1/recommendations", params={**asked, "explain": True}).json()
    assert answer["degraded"] is None, answer
    return [
        (
            item["sale_id"],
            item["purchase_probability"],
            item["explanation"]["sentence"] if item["rank"] <= N_EXPLAINED else None,
        )
        for item in answer["items"]
    ]


def test_every_customer_has_one_list(shop: Shop, whole: Path) -> None:
    lists = lists_in(whole)

    # All of them have attributes, some no event.
    files = [shop.data / f"{name}.parquet" for name in ("events", "customers")]
    known = set[str]().union(*(pl.read_parquet(file)["customer_id"] for file in files))
    assert set(lists["customer_id"]) == known
    assert not lists.select("customer_id", "rank").is_duplicated().any()
    assert not lists.select("customer_id", "sale_id").is_duplicated().any()
    assert json.loads((whole / "lists.json").read_text())["customers"] == len(known)


def test_strangers_have_a_list_for_each_market_and_device(whole: Path) -> None:
    strangers = pl.read_parquet(whole / "strangers.parquet")

    found = strangers.select("market", "device").unique()
    n_markets, n_devices = (found[name].n_unique() for name in ("market", "device"))
    assert found.height == n_markets * n_devices > 1
    assert strangers["customer_id"].is_null().all()


@pytest.mark.prove
def test_runs_that_are_killed_go_on_and_end_in_the_same_bytes(
    shop: Shop, whole: Path, tmp_path: Path, proof: Proof, rng: np.random.Generator
) -> None:
    out, command = tmp_path / "lists", shop.command(tmp_path / "lists", "--processes", "2")
    n_kills = max(N_KILLS_SMALL, proof.scale(N_KILLS))
    done_at: list[int] = []
    for number in range(n_kills):
        # Each kill comes once a little more is done, so that all stages are met.
        share = number / n_kills
        with started(*command) as process:
            wait_for(out, process, n_files=round(share * 2 * N_PARTS))
            time.sleep(float(rng.uniform(0, 0.2)))
            kill_group(process)
        done_at.append(len(list(out.glob("parts/*.parquet"))))
    with started(*command) as process:
        output = finish(process)

    assert process.returncode == 0, output
    assert files_of(out) == files_of(whole)
    proof.record("lists_killed", {"kills": n_kills, "parts_done_at_kill": done_at})


def wait_for(out: Path, process: subprocess.Popen[str], *, n_files: int) -> None:
    """Wait until so many counts and results of parts are there, or the command has ended."""
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        n_counted = len(list(out.glob("work/counts/*.npz")))
        n_done = n_counted + len(list(out.glob("parts/*.parquet")))
        if (out / "run.json").exists() and n_done >= n_files:
            return
        time.sleep(0.01)


@pytest.mark.prove
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_twice(
    shop: Shop, whole: Path, tmp_path: Path, proof: Proof, rng: np.random.Generator
) -> None:
    """One of two workers that a scheduler has, once a run, each time a little later."""
    n_kills = max(N_KILLS_SMALL, proof.scale(N_KILLS))
    done_at: list[int] = []
    with scheduling(port := free_port()) as (_, two_workers):
        for number in range(n_kills):
            out = tmp_path / f"{number}"
            with started(*shop.command(out, "--scheduler", f"tcp://127.0.0.1:{port}")) as process:
                wait_for(out, process, n_files=round(number / n_kills * 2 * N_PARTS))
                time.sleep(float(rng.uniform(0, 0.2)))
                os.kill(int(rng.choice(workers_of(two_workers))), signal.SIGKILL)
                done_at.append(len(list(out.glob("parts/*.parquet"))))
                output = finish(process)

            assert process.returncode == 0, output
            assert files_of(out) == files_of(whole)
    proof.record("lists_worker_killed", {"kills": n_kills, "parts_done_at_kill": done_at})


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the ids of the worker processes of a command."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            is_own = os.getpgid(int(folder.name)) == process.pid
        except OSError:
            continue
        if is_own and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.prove
def test_a_full_disk_ends_a_run_that_goes_on_with_room(
    shop: Shop, whole: Path, tmp_path: Path, proof: Proof
) -> None:
    """Room for files of a size, then of twice the size, and so on: each run gets further."""
    out, command = tmp_path / "lists", shop.command(tmp_path / "lists", "--processes", "1")
    largest = max(path.stat().st_size for path in whole.glob("parts/*.parquet"))
    limits = [(largest - 1) >> halved for halved in range(max(1, proof.scale(N_LIMITS)))]
    stages = list[str]()
    for limit in reversed(limits):
        with started(*command, limit=partial(limit_files, limit)) as process:
            output = finish(process)
        assert process.returncode == 1, output
        assert "File too large" in output
        assert not (out / "lists.json").exists()
        stages.append(stage_of(out))
    with started(*command) as process:
        output = finish(process)

    assert process.returncode == 0, output
    assert files_of(out) == files_of(whole)
    proof.record("lists_disk_full", {"bytes": limits[::-1], "stages": stages})


def limit_files(n_bytes: int) -> None:
    """Let no file grow further, as where a quota or a disk ends."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def stage_of(out: Path) -> str:
    """Return the stage that an unfinished run is at."""
    for name, stage in (("counts.npz", "scoring"), ("split", "reading")):
        if (out / "work" / name).exists():
            return stage
    return "splitting" if (out / "work" / "content.npz").exists() else "preparing"


@pytest.mark.prove
def test_a_scheduler_that_is_gone_ends_a_run_that_goes_on_with_another(
    shop: Shop, whole: Path, tmp_path: Path, proof: Proof
) -> None:
    port, n_ends = free_port(), max(1, proof.scale(N_SCHEDULERS))
    for number in range(1, n_ends + 1):
        out = tmp_path / f"{number}"
        command = shop.command(out, "--scheduler", f"tcp://127.0.0.1:{port}")
        with scheduling(port) as (scheduler, _), started(*command) as process:
            wait_for(out, process, n_files=round(number / (n_ends + 1) * 2 * N_PARTS))
            kill_group(scheduler)
            output = finish(process)
        assert process.returncode == 1, output
        assert "give the same command again" in output
        with scheduling(port), started(*command) as process:
            output = finish(process)

        assert process.returncode == 0, output
        assert files_of(out) == files_of(whole)
    proof.record("lists_scheduler_restarted", {"ends": n_ends})


@contextmanager
def scheduling(
    port: int,
) -> Generator[tuple[subprocess.Popen[str], subprocess.Popen[str]]]:
    """Run a scheduler, and a process with two workers that connect over TCP."""
    address = ("--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0")
    with (
        started("distributed.cli.dask_scheduler", *address) as scheduler,
        started(
            "distributed.cli.dask_worker",
            f"tcp://127.0.0.1:{port}",
            *("--nworkers", "2", "--nthreads", "1", "--no-dashboard"),
        ) as two_workers,
    ):
        yield scheduler, two_workers


def test_the_customers_of_a_sale_are_the_likeliest_with_the_probabilities_of_lists(
    shop: Shop, whole: Path, tmp_path: Path
) -> None:
    out, lists = tmp_path / "audience", lists_in(whole)
    sale = lists.group_by("sale_id").len().sort("len", "sale_id")["sale_id"][-1]
    made = run_here(*shop.command(out, "--sale", sale, "--top", "20", "--processes", "1"))
    assert made.exit_code == 0, made.output

    found = pl.read_parquet(out / "audience.parquet")
    expected = (
        lists.filter(pl.col("sale_id") == sale)
        .sort(["purchase_probability", "customer_id"], descending=[True, False])
        .select("customer_id", "purchase_probability")
    )
    assert found.select(expected.columns).equals(expected.head(20))
    summary = json.loads((out / "lists.json").read_text())
    total = expected["purchase_probability"].head(20).sum()
    assert summary["expected_purchases"] == pytest.approx(total)
    assert summary["all_customers"] == expected.height


def test_a_folder_with_lists_of_another_run_is_refused(shop: Shop, whole: Path) -> None:
    again = run_here(*shop.command(whole))
    other = run_here(*shop.command(whole, "--top", "5"))

    assert again.exit_code == 0, again.output
    assert other.exit_code == 1
    assert "it differs in top" in other.output
