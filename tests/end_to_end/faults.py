"""Faults of a store and of workers, injected on purpose."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.servers import free_port, tell

UP_WITHIN_S = 30.0
DISK_SIZE = "64m"
FILLED_BYTES = 65_536
READ_ONLY, FULL, GONE = STATE_FAULTS = ("read-only", "full", "gone")


@dataclass
class Store:
    """A Redis that keeps every write, and may be killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("redis-server")
        assert binary is not None
        options = "--save '' --appendonly yes --appendfsync always --maxmemory-policy noeviction"
        command = f"exec {binary} --port {self.port} --dir {self.folder} {options}"
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + UP_WITHIN_S
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def send(self, sent: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sent)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def tell(self, command: str) -> bytes:
        return tell(self.port, command)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.tell("PING").startswith(b"+PONG")
        return False


@contextmanager
def running_store(folder: Path) -> Generator[Store]:
    folder.mkdir()
    store = Store(folder)
    store.start()
    try:
        yield store
    finally:
        with suppress(ProcessLookupError):
            store.send(signal.SIGCONT)
            store.kill()


@dataclass(frozen=True)
class Disk:
    """A folder for a service's state, a file system of its own where this user may mount one.

    Attributes:
        folder: Where it is.
        is_mounted: Whether it is one.
    """

    folder: Path
    is_mounted: bool

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def break_down(self, how: str) -> None:
        """Begin one of `STATE_FAULTS`; `GONE` is a disk that is not mounted."""
        if how == READ_ONLY:
            self._remount("ro")
        elif how == FULL:
            with suppress(OSError), self._filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(FILLED_BYTES))
        else:
            self.state.rename(self.folder / "away")
            self.state.touch()

    def mend(self, how: str) -> None:
        """End the fault."""
        if how == READ_ONLY:
            self._remount("rw")
        elif how == FULL:
            self._filler.unlink()
        else:
            self.state.unlink()
            (self.folder / "away").rename(self.state)

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def _remount(self, how: str) -> None:
        # It is refused while a file is being written.
        deadline = time.monotonic() + UP_WITHIN_S
        while not _does("mount", "-o", f"remount,{how}", str(self.folder)):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextmanager
def state_disk(folder: Path) -> Generator[Disk]:
    """Provide a disk of a few megabytes while the block runs."""
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={DISK_SIZE}")
    disk = Disk(folder, is_mounted=_does("mount", *options, "state", str(folder)))
    disk.state.mkdir()
    try:
        yield disk
    finally:
        if disk.is_mounted:
            assert _does("umount", "--lazy", str(folder))


def _does(name: str, *arguments: str) -> bool:
    """Run a command that may be missing, or need another user."""
    command = shutil.which(name)
    if command is None:
        return False
    ended = subprocess.run([command, *arguments], check=False, capture_output=True)
    return ended.returncode == 0


class Proxy:
    """Proxy between the service and the store: adds latency, and resets connections."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.delay_s = 0.0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()

    def hang_up(self) -> None:
        self._loop.call_soon_threadsafe(self._abort)

    def turn_to(self, target: int) -> None:
        """Lead new connections to another server, as an address that moves; old ones stay."""
        self._target = target

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pass_on(reader, far_writer, delayed=True),
                self._pass_on(far_reader, writer, delayed=False),
            )
        finally:
            self._writers -= both

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delayed: bool
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(65_536):
                if delayed and self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(part)
                await writer.drain()
        writer.close()

    @contextmanager
    def running(self) -> Generator["Proxy"]:
        serving = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self.port)
        )
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(serving.close)
            self._loop.call_soon_threadsafe(self._abort)
            self._loop.call_soon_threadsafe(self._loop.call_later, 0.1, self._loop.stop)
            thread.join()
            self._loop.close()


@dataclass(frozen=True)
class Faults:
    """Faults, each for a number of seconds; every fault ends repaired."""

    store: Store
    proxy: Proxy
    service_pid: int

    def by_name(self) -> dict[str, Callable[[float], None]]:
        return {
            "store killed": self.kill,
            "store hangs": self.hang,
            "200 ms more": self.slow,
            "store full": self.full,
            "connections reset": self.reset,
            "worker killed": self.kill_worker,
            "store emptied": self.empty,
        }

    def kill(self, seconds: float) -> None:
        self.store.kill()
        time.sleep(seconds)
        self.store.start()

    def hang(self, seconds: float) -> None:
        self.store.send(signal.SIGSTOP)
        time.sleep(seconds)
        self.store.send(signal.SIGCONT)

    def slow(self, seconds: float) -> None:
        self.proxy.delay_s = 0.2
        time.sleep(seconds)
        self.proxy.delay_s = 0.0

    def full(self, seconds: float) -> None:
        self.store.tell("CONFIG SET maxmemory 1")
        time.sleep(seconds)
        self.store.tell("CONFIG SET maxmemory 0")

    def reset(self, seconds: float) -> None:
        for _ in range(5):
            self.proxy.hang_up()
            time.sleep(seconds / 5)

    def kill_worker(self, seconds: float) -> None:
        os.kill(worker_pids(self.service_pid)[0], signal.SIGKILL)
        time.sleep(seconds)

    def empty(self, seconds: float) -> None:
        self.store.tell("FLUSHALL")
        time.sleep(seconds)


def worker_pids(supervisor: int) -> list[int]:
    """Return the processes that serve: those below the one that they are forked from."""
    servers = [pid for pid in children(supervisor) if b"forkserver" in _command(pid)]
    return [worker for server in servers for worker in children(server)]


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that live."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
