"""Profile of an answer: its processor time by part, beside its floors.

Question: of what does an answer consist that the floors of `benchmarks.serving.run` do not have?

Method: ``python -m benchmarks.serving.profile --sales 300``. The worker samples its own stack by
its own processor time (`benchmarks.serving.sampler`) while eight callers ask as fast as they are
answered. A sample belongs to the part of the innermost frame that has one; one below the first
stage of large catalogues to that stage. Compare shares of one run: a busy machine makes all times
longer.

Last numbers: docs/performance.md.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.bench_load import cpu_s
from benchmarks.results import write_result
from benchmarks.serving.load import closed_loop, precise_loop
from benchmarks.serving.run import LOAD_CORE, N_CALLERS, WARM_UP_S, vitrine
from benchmarks.serving.sampler import Stack
from benchmarks.serving.shop import fill, make_bundle
from tests.proofs import ROOT

STACKS_WITHIN_S: Final = 10.0

FIRST_STAGE: Final = {
    "first stage: sample scored": "models/scoring/first_stage.py:FirstStage._log_odds",
    "first stage: the rest": "models/slate/shortlist.py",
}
"""Parts whose frame may be any of the stack, in this order; all others go by the innermost."""

PARTS: Final = {
    "features: kernel": ["models/kernel/features.py:Joined._compute"],
    "features: window joined": ["models/query/customer_history.py:join"],
    "features: around the kernel": [
        *("models/features/", "models/recommenders/", "models/query/query.py"),
        *("models/kernel/features.py:look_alike_counts", "models/catalogue/"),
    ],
    "trees": ["models/ranker/forest.py"],
    "linear offsets": ["models/ranker/logistic.py"],
    "rest of the meta-model": ["models/ranker/"],
    "hash of the features": ["models/kernel/features.py:hash_of"],
    "slate": ["models/slate/", "app/recommend/ranking.py"],
    "read of the customer": ["app/stores/customer", "app/stores/channel.py", "models/domain/"],
    "exposure record and log": [
        *("app/recommend/exposure", "app/stores/exposure.py", "models/experiments/"),
    ],
    "background tasks": ["app/health/"],
    "routing, counts, metrics": [
        *("app/recommend/", "prometheus_client/", "app/experiments/", "app/observability"),
    ],
    "parameters and answer": ["app/api/schema/", "app/api/parameters.py", "app/api/recommend"],
    "middlewares": ["app/api/", "starlette/", "fastapi/"],
    "HTTP, sockets, event loop": [""],
}
"""Frames of each part by the beginning of ``file:function``."""


def part_of(stack: Stack) -> str:
    """Return the part that a sample belongs to."""
    frames = [one.removeprefix(f"{ROOT}/").split("site-packages/")[-1] for one in stack]
    for part, beginning in FIRST_STAGE.items():
        if any(one.startswith(beginning) for one in frames):
            return part
    for frame in frames:
        for part, beginnings in PARTS.items():
            if any(one and frame.startswith(one) for one in beginnings):
                return part
    return [*PARTS][-1]


def sampled(folder: Path, n_sales: int, *, run_s: float) -> tuple[float, list[tuple[Stack, int]]]:
    """Sample a worker; return milliseconds of processor time of an answer, and the stacks."""
    bundle, target = make_bundle(folder), folder / "stacks.json"
    fill(folder, bundle, n_sales)
    target.unlink(missing_ok=True)
    program = ["benchmarks.serving.sampler", str(target)]
    with vitrine(folder, bundle, n_sales, program=program) as running:

        def asked(seconds: float) -> tuple[int, float]:
            loop = closed_loop(
                running.address,
                running.request,
                n_callers=N_CALLERS,
                warm_up_s=WARM_UP_S,
                run_s=seconds,
                cpu_s=lambda: cpu_s(running.pid),
            )
            with asyncio.Runner(loop_factory=precise_loop) as runner:
                found = runner.run(loop)
            return len(found.took_ms), found.cpu_s

        asked(WARM_UP_S)
        os.kill(running.pid, signal.SIGUSR1)
        n_answers, took_s = asked(run_s)
        os.kill(running.pid, signal.SIGUSR1)
        deadline = time.monotonic() + STACKS_WITHIN_S
        while not target.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    found = [(tuple(stack), n) for stack, n in json.loads(target.read_bytes())]
    return took_s / n_answers * 1_000, found


def main(
    folder: Annotated[Path, typer.Option(help="Where bundle and stores are kept.")] = Path(
        "var/bench-serve"
    ),
    sales: Annotated[list[int], typer.Option(help="Open sales; repeat.")] = [300],  # noqa: B006
    run_s: Annotated[float, typer.Option(min=0.5, help="Seconds of load.")] = 20.0,
) -> None:
    """Print the microseconds of each part, and write results/benchmarks/serving_profile.json."""
    os.sched_setaffinity(0, {LOAD_CORE})
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, float]] = {}
    for n_sales in sales:
        answer_ms, stacks = sampled(folder, n_sales, run_s=run_s)
        counted = Counter[str]()
        for stack, n in stacks:
            counted[part_of(stack)] += n
        n_samples = counted.total()
        rows[f"{n_sales} sales"] = {
            "an answer": round(answer_ms * 1_000, 1),
            **{
                part: round(answer_ms * 1_000 * counted[part] / n_samples, 1)
                for part in (*FIRST_STAGE, *PARTS)
                if counted[part]
            },
            "samples": n_samples,
        }
    write_result("serving_profile", rows)
    for name, row in rows.items():
        print(f"\n{name}, microseconds of processor time:")
        for part, took in row.items():
            print(f"{took:10.1f}  {part}")


if __name__ == "__main__":
    typer.run(main)
