"""Answers while another bundle is activated: their latency in the seconds around it.

Question: does an activation make a step of the latency of answers?

Method: ``python -m benchmarks.serving.activation --sales 300``. One worker on one core answers an
open loop (Poisson arrivals, latency from when a request was due) at a fixed rate, well below what
it can answer. In the middle another bundle, trained with another seed, is activated, as
`python -m app activate` does. Latencies are those of requests that were due before the activation
was asked for, until it was answered, and after that.

Last numbers: docs/performance.md.
"""

import asyncio
import json
import os
import shutil
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from benchmarks.results import write_result
from benchmarks.serving.load import Address, Sample, open_loop, precise_loop
from benchmarks.serving.run import LOAD_CORE, WARM_UP_S, Running, vitrine
from benchmarks.serving.shop import fill, make_bundle
from tests.worlds import train_bundle

ANSWER_TIMEOUT_S: Final = 120.0

Span = tuple[float, float]
"""When an activation was asked for, and answered, by `time.perf_counter`."""


def make_two(folder: Path) -> list[Path]:
    """Return the shop's bundle and another one that is trained on the same, in one directory."""
    root, first = folder / "two-bundles", make_bundle(folder)
    shutil.copytree(first, root / first.name, dirs_exist_ok=True)
    others = {one.parent for one in root.glob("*/manifest.json")} - {root / first.name}
    if not others:
        others = {train_bundle(folder / "data", root, cache=folder / "cache", seed=1)}
    return [root / first.name, min(others)]


def activate(address: Address, bundle_id: str) -> Span:
    """Have the service answer with a bundle."""
    started = time.perf_counter()
    connection = HTTPConnection(*address, timeout=ANSWER_TIMEOUT_S)
    headers = {"Content-Type": "application/json"}
    connection.request("PUT", "/v1/bundles/active", json.dumps({"bundle": bundle_id}), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()
    return started, time.perf_counter()


async def under_load(
    running: Running, bundle_id: str, *, per_second: float, part_s: float
) -> tuple[Sample, Span]:
    """Ask for three parts of seconds, and activate a bundle after the first."""
    loop = asyncio.get_running_loop()
    await open_loop(
        running.address, running.request, per_second=per_second, run_s=WARM_UP_S, seed=0
    )
    asked = asyncio.create_task(
        open_loop(running.address, running.request, per_second=per_second, run_s=3 * part_s, seed=1)
    )
    await asyncio.sleep(part_s)
    span = await loop.run_in_executor(None, activate, running.address, bundle_id)
    return await asked, span


def by_part(sample: Sample, span: Span) -> dict[str, dict[str, float]]:
    """Return the latency of what was due before, during and after an activation."""
    due_s, took_ms = np.array(sample.due_s), np.array(sample.took_ms)
    place = np.searchsorted(span, due_s)
    found: dict[str, dict[str, float]] = {}
    for number, name in enumerate(("before", "during", "after")):
        part = took_ms[place == number]
        found[name] = {"answers": len(part)}
        if len(part):
            p50, p99 = np.percentile(part, [50, 99])
            found[name] |= {"p50_ms": p50, "p99_ms": p99, "longest_ms": part.max()}
    return found


def main(
    folder: Annotated[Path, typer.Option(help="Where bundles and stores are kept.")] = Path(
        "var/bench-serve"
    ),
    sales: Annotated[int, typer.Option(help="Open sales.")] = 300,
    per_second: Annotated[float, typer.Option(help="Requests a second.")] = 300.0,
    part_s: Annotated[float, typer.Option(min=0.5, help="Seconds before; twice after.")] = 5.0,
) -> None:
    """Print latencies, and write results/benchmarks/serving_activation.json."""
    os.sched_setaffinity(0, {LOAD_CORE})
    folder.mkdir(parents=True, exist_ok=True)
    first, second = make_two(folder)
    fill(folder, first, sales)
    with vitrine(folder, first, sales) as running, asyncio.Runner(loop_factory=precise_loop) as one:
        loading = under_load(running, second.name, per_second=per_second, part_s=part_s)
        sample, span = one.run(loading)
        activate(running.address, first.name)  # which the store asks for from then on
    figures = {
        **by_part(sample, span),
        "activation_s": round(span[1] - span[0], 2),
        "incomplete": sample.n_other,
    }
    write_result("serving_activation", figures)


if __name__ == "__main__":
    typer.run(main)
