"""Files that a reader passes to follow a recommendation, an event, a picture and a training run.

Question: how many files of the project does a call pass through, and how often does it return to a
file that it has left already?

Method: the calls of functions (not their returns, nor coroutines that go on) of one request or
command are recorded in this process by `sys.setprofile`, with those of other threads meanwhile.
Equal neighbours count once. ``returns`` is the number of entries into a file that was entered
before: of every call, which grows with the data, and under ``first_calls`` of the first call of
each function, which is how a reader meets them. ``without_leaves`` leaves out files that call into
no other file. Of five requests the one with the fewest returns counts, as background tasks may run
in threads beside one.

Last numbers: see results/benchmarks/walks_requests.json and walks_training.json after `make bench`.
"""

import dis
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from inspect import CO_OPTIMIZED
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import httpx
import polars as pl
import pytest
from typer.testing import CliRunner

from app.main import create_app
from app.resources import Worker
from app.settings import Settings
from app.stores.embedded import embedded_server
from benchmarks.results import write_result
from tests.end_to_end.service import run
from tests.proofs import ROOT
from tests.shop import client_of
from training.__main__ import app as training_commands

N_REPEATS: Final = 5
PACKAGES: Final = ("app", "models", "training")

# Only what is called for a request, and not by background tasks of the same thread.
_is_walking: ContextVar[bool] = ContextVar("is_walking", default=False)


def project_file(code: CodeType) -> str | None:
    """Return the project's file that a function stands in, None of others and of module bodies."""
    path = Path(code.co_filename)
    if not code.co_flags & CO_OPTIMIZED or not path.is_relative_to(ROOT):
        return None
    name = path.relative_to(ROOT)
    return str(name) if name.parts[0] in PACKAGES else None


def start(code: CodeType) -> int:
    """Return the offset at which a call of a function begins; generators go on further below."""
    return next(one.offset for one in dis.get_instructions(code) if one.opname == "RESUME")


class Walk:
    """The files that calls pass through, in their order."""

    def __init__(self) -> None:
        """Begin where nothing was called."""
        self.n_returns = 0
        self.first_calls: list[str] = []
        self.callers: set[str] = set()
        self._at = ""
        self._entered: set[str] = set()
        self._called: set[CodeType] = set()
        self._edges: set[tuple[CodeType, CodeType]] = set()
        self._places: dict[CodeType, tuple[str | None, int]] = {}

    def enter(self, frame: FrameType) -> None:
        """Take a call into account."""
        code = frame.f_code
        file, begins_at = self._place(code)
        if file is None or frame.f_lasti > begins_at:
            return
        self._note_caller(frame, file)
        if file != self._at:
            self.n_returns += file in self._entered
            self._entered.add(file)
            self._at = file
        if code not in self._called:
            self._called.add(code)
            self.first_calls.append(file)

    def _place(self, code: CodeType) -> tuple[str | None, int]:
        place = self._places.get(code)
        if place is None:
            file = project_file(code)
            place = self._places[code] = (file, start(code) if file else 0)
        return place

    def _note_caller(self, frame: FrameType, file: str) -> None:
        above = frame.f_back
        if above is None or (edge := (above.f_code, frame.f_code)) in self._edges:
            return
        self._edges.add(edge)
        caller = None
        while above is not None and caller is None:
            caller = self._place(above.f_code)[0]
            above = above.f_back
        if caller is not None and caller != file:
            self.callers.add(caller)

    def figures(self) -> dict[str, object]:
        """Return how long the walk was."""
        inner = [file for file in self.first_calls if file in self.callers]
        return {
            "files": len(self._entered),
            "returns": self.n_returns,
            "first_calls": {"returns": returns(self.first_calls)},
            "without_leaves": {"files": len(set(inner)), "returns": returns(inner)},
            "path": [file for file, _ in groupby(self.first_calls)],
        }


def returns(files: list[str]) -> int:
    """Count entries into a file that was entered before."""
    path = [file for file, _ in groupby(files)]
    return len(path) - len(set(path))


class Recorder:
    """Hands calls to a walk: those of the context that began it, and those of other threads."""

    def __init__(self) -> None:
        """Begin without a walk."""
        self._walk: Walk | None = None

    @contextmanager
    def attached(self) -> Generator[None]:
        """See the calls of this thread, and of threads that begin in the block."""
        threading.setprofile(self._see)
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def recording(self, walk: Walk) -> Generator[None]:
        """Hand the calls in the block to a walk."""
        token = _is_walking.set(True)
        self._walk = walk
        try:
            yield
        finally:
            self._walk = None
            _is_walking.reset(token)

    async def shortest(self, ask: Callable[[], Awaitable[httpx.Response]]) -> Walk:
        """Ask some times, and return the walk with the fewest returns."""
        walks = [Walk() for _ in range(N_REPEATS)]
        for walk in walks:
            with self.recording(walk):
                answer = await ask()
            assert answer.status_code == 200, answer.text
        return min(walks, key=lambda walk: walk.n_returns)

    def _see(self, frame: FrameType, event: str, _argument: object) -> None:
        walk = self._walk
        if event != "call" or walk is None:
            return
        if _is_walking.get() or threading.current_thread() is not threading.main_thread():
            walk.enter(frame)


@pytest.fixture
async def shop(
    tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> AsyncGenerator[tuple[Recorder, httpx.AsyncClient]]:
    """Serve the small shop in this process, seen by a recorder."""
    bundle, data = tiny_bundle
    recorder = Recorder()
    with embedded_server(tmp_path) as url:
        options = ("--data", str(data), "--bundle", str(bundle))
        loaded = run("app", "load", *options, VITRINE_REDIS_URL=url)
        assert loaded.returncode == 0, loaded.stderr
        settings = Settings(
            redis_url=url,
            state_dir=tmp_path,
            bundle=str(bundle),
            read_timeout_ms=10_000,
            deadline_ms=60_000,
        )
        with recorder.attached():
            async with client_of(create_app(settings, Worker())) as client:
                yield recorder, client


async def test_walks_of_requests(
    shop: tuple[Recorder, httpx.AsyncClient], tiny_world: Path
) -> None:
    """Follow a recommendation, a batch of events and a picture from the middlewares on."""
    recorder, client = shop
    now = datetime.now(UTC)
    customer = str(pl.read_parquet(tiny_world / "events.parquet")["customer_id"].mode().sort()[0])
    sales = pl.read_parquet(tiny_world / "sales.parquet")
    is_open = (pl.col("opens_at") <= now) & (pl.col("closes_at") > now)
    sale_id = str(sales.filter(is_open)["sale_id"][0])
    click = {"customer_id": customer, "type": "click", "sale_id": sale_id, "at": now.isoformat()}
    batch = {"events": [{**click, "event_id": f"e-{n}"} for n in range(3)]}
    picture = min((tiny_world / "images").iterdir()).read_bytes()
    jpeg = {"Content-Type": "image/jpeg"}

    walks = {
        "recommendation": await recorder.shortest(
            lambda: client.get("/v1/recommendations", params={"customer_id": customer})
        ),
        "events": await recorder.shortest(lambda: client.post("/v1/events", json=batch)),
        "picture": await recorder.shortest(
            lambda: client.put(f"/v1/sales/{sale_id}/image", content=picture, headers=jpeg)
        ),
    }

    write_result("walks_requests", {name: walk.figures() for name, walk in walks.items()})


def test_walk_of_a_training_run(tiny_world: Path, tmp_path: Path) -> None:
    """Follow `python -m training train` from its command on."""
    walk, recorder = Walk(), Recorder()
    options = ["--data", tiny_world, "--out", tmp_path / "bundles", "--cache", tmp_path / "cache"]
    with recorder.attached(), recorder.recording(walk):
        trained = CliRunner().invoke(training_commands, ["train", *map(str, options)])

    assert trained.exit_code == 0, trained.output
    write_result("walks_training", walk.figures())
