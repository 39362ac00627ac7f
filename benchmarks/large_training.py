"""Memory and processor time of a training on millions of events, of all its processes.

Question: memory that is in no file, resident memory and processor seconds by stage, of the command
and its workers together; and whether a training ends well in less memory than the log takes.

Method: the customers of the standard world are repeated under other names in parts of 500,000
events, without pictures. `train` runs in a process of its own, whose whole tree is looked at
twice a second in ``/proc``. Resident memory counts pages that processes share once for each.
``--group`` is a control group of the system, whose memory its owner has limited: the training is
put into it, and what it says about memory is reported, pages of files included.

``python -m benchmarks.large_training --events 5000000 --processes 2 --folder DIR``

Last numbers: see docs/training.md.
"""

import json
import multiprocessing
import os
import re
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from benchmarks.results import write_result
from tests.worlds import END_US
from training.configuration import RunConfig, TrainingOptions
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import train
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

N_CUSTOMERS: Final = 1_200
N_DAYS: Final = 30
N_COPIES: Final = 5
"""Of each customer in a file."""
LOOK_S: Final = 0.5
TICKS: Final = os.sysconf("SC_CLK_TCK")
IDS: Final = ("event_id", "customer_id", "session_id", "exposure_id")

OF_GROUP: Final = (
    "memory.limit_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.failcnt",
    "memory.max",
    "memory.peak",
)
"""What the two versions of control groups say."""

Figures = dict[str, float]


def repeated(folder: Path, *, n_events: int) -> Path:
    """Write the standard world without pictures, of so many events or a few more."""
    data = folder / f"events-{n_events}"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        world = Path(name)
        period = Period.ending(END_US, N_DAYS)
        create_world(world, WORLDS["standard"], period=period, n_customers=N_CUSTOMERS, seed=1)
        events = pl.read_parquet(world / "events.parquet")
        (data / "events").mkdir(parents=True)
        pl.read_parquet(world / "sales.parquet").write_parquet(data / "sales.parquet")
    for part in range(-(-n_events // (len(events) * N_COPIES))):
        numbers = range(part * N_COPIES, (part + 1) * N_COPIES)
        copies = [
            events.with_columns(pl.col(one) + f"-{number}" for one in IDS) for number in numbers
        ]
        named = pl.concat(copies).sort("at")
        named.write_parquet(data / "events" / f"{part:05}.parquet")
    return data


@dataclass(frozen=True, slots=True)
class Stages:
    """Progress that says the name of each stage to another process."""

    said: Connection

    def stage(self, name: str, total: int | None = None) -> None:
        """Say the name of the stage that begins."""
        del total
        self.said.send(name)

    def tick(self) -> None:
        """Say nothing."""


def run(data: Path, folder: Path, n_processes: int, whole: bool, said: Connection) -> None:
    """Train once; first wait to be put into a control group."""
    said.recv()
    stages = Stages(said)
    options = TrainingOptions(
        config=RunConfig(),
        scratch=None if whole else folder / "scratch",
        n_processes=n_processes or None,
    )
    stages.stage("reading")
    source = DataOptions(directory=data, cache=folder / "cache")
    material = prepare(source, options, progress=stages)
    bundle = train(material, options, root=folder / "bundles", progress=stages)
    said.send(bundle)


@dataclass(slots=True)
class Tree:
    """What was seen of a process and all that it started.

    Attributes:
        root: Id of the process.
        worked_s: Processor seconds of each, when it was last seen.
    """

    root: int
    worked_s: dict[int, float] = field(default_factory=dict[int, float])

    def look(self) -> tuple[float, float]:
        """Return the memory that is in no file, and the resident memory, in MiB."""
        anonymous = resident = 0
        for pid, fields in family(self.root).items():
            self.worked_s[pid] = (int(fields[11]) + int(fields[12])) / TICKS
            with suppress(OSError):  # it has ended
                status = Path(f"/proc/{pid}/status").read_text()
                anonymous += sum(map(int, re.findall(r"RssAnon:\s+(\d+) kB", status)))
                resident += sum(map(int, re.findall(r"VmRSS:\s+(\d+) kB", status)))
        return anonymous / 1024, resident / 1024


def family(root: int) -> dict[int, list[str]]:
    """Return the fields of ``/proc/PID/stat``, from the third on, of a process and its children."""
    found: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            found[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    children = {pid: int(fields[1]) for pid, fields in found.items()}
    own = {root}
    for pid in sorted(children):  # a child is younger than its parent
        if children[pid] in own:
            own.add(pid)
    return {pid: found[pid] for pid in own if pid in found}


def measure(
    data: Path, folder: Path, *, n_processes: int, whole: bool, group: Path | None
) -> dict[str, object]:
    """Train and look at it."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=run, args=(data, folder, n_processes, whole, there))
    process.start()
    there.close()
    assert process.pid is not None
    if group is not None:
        (group / "cgroup.procs").write_text(str(process.pid))
    here.send("go")
    tree, stages = Tree(process.pid), dict[str, Figures]()
    said = "start"
    while process.is_alive():
        of = stages.setdefault(said, {"anonymous_mb": 0, "resident_mb": 0})
        since_s, worked_s = time.monotonic(), sum(tree.worked_s.values())
        while process.is_alive() and not here.poll(LOOK_S):
            anonymous, resident = tree.look()
            of["anonymous_mb"] = max(of["anonymous_mb"], round(anonymous))
            of["resident_mb"] = max(of["resident_mb"], round(resident))
        of["s"] = round(time.monotonic() - since_s, 1)
        of["processor_s"] = round(sum(tree.worked_s.values()) - worked_s, 1)
        print(said, json.dumps(of), flush=True)
        try:
            said = str(here.recv()) if here.poll() else said
        except EOFError:  # it has ended
            break
    process.join()
    used = group.glob("memory.*") if group else ()
    return {
        "exit": process.exitcode,
        "last": said,
        "processor_s": round(sum(tree.worked_s.values()), 1),
        "stages": stages,
        **{path.name: path.read_text().strip() for path in used if path.name in OF_GROUP},
    }


def main(
    folder: Annotated[Path, typer.Option(help="Where data, caches and bundles are written.")],
    events: Annotated[int, typer.Option(min=1, help="Events.")] = 1_000_000,
    processes: Annotated[int, typer.Option(min=0, help="Workers for features.")] = 0,
    whole: Annotated[bool, typer.Option("--whole", help="All in memory, not by part.")] = False,
    group: Annotated[Path | None, typer.Option(help="Control group to run in.")] = None,
) -> None:
    """Measure one training."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"events-{events}"
    if not data.exists():
        repeated(folder, n_events=events)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        figures = measure(data, Path(name), n_processes=processes, whole=whole, group=group)
    named = f"{'whole' if whole else processes}{f'-{group.name}' if group else ''}"
    write_result(f"large-training-{events}-{named}", figures)


if __name__ == "__main__":
    typer.run(main)
