"""Stores of three kinds, all of whose servers may be killed, stopped, emptied and restored."""

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.clock import clock_library
from tests.contract.servers import N_NODES, N_SLOTS, free_port, tell

WITHIN_S = 60.0  # machines that run tests are busy
KEEPS_ALL = "--save '' --appendonly yes --appendfsync always --maxmemory-policy noeviction"
STALL_S = 0.2
"""How long a slow server takes before it looks at its callers, again and again."""

STEP_SEEN_S = 1.5
"""Servers that watch each other have seen a step of their clocks by then."""

DUMP = "dump.rdb"
MASTER = "shop"
SHARED = Path("/dev/shm")  # noqa: S108 - where libfaketime leaves something of who is killed
SENTINEL = """
sentinel monitor {name} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 2000
"""


@dataclass
class Node:
    """A Redis process that keeps every write in its folder.

    Attributes:
        folder: Where it lives.
        options: Of its command.
        clock: What says how far its clock is from this machine's; None for this machine's.
    """

    folder: Path
    options: str = ""
    clock: Path | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have it run, if it does not."""
        if self.process is not None and not self._has_ended():
            return
        self.folder.mkdir(exist_ok=True)
        binary = shutil.which("redis-server")
        assert binary is not None
        command = f"{binary} {self.options} --port {self.port} --dir {self.folder}"
        self.process = subprocess.Popen(
            shlex.split(command),
            env={"PATH": os.environ["PATH"], **(clocked(self.clock) if self.clock else {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait(self._answers)

    def send(self, sent: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(sent)

    def kill(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            for left in SHARED.glob(f"*faketime_*_{self.process.pid}"):
                left.unlink()

    def tell(self, command: str) -> bytes:
        return tell(self.port, command)

    def saves(self) -> bool:
        """Tell whether it saves what it holds, and start it if it has ended.

        A replica that failed to save ends itself at the next command of its master.
        """
        self.start()
        return self._has_saved(b"ok")

    def fails_to_save(self) -> bool:
        """Tell whether it failed to save, or has ended because of that."""
        return self._has_ended() or self._has_saved(b"err")

    def _has_saved(self, outcome: bytes) -> bool:
        last = b"rdb_bgsave_in_progress:0", b"rdb_last_bgsave_status:" + outcome
        if all(line in self.tell("INFO persistence") for line in last):
            return True
        self.tell("BGSAVE")
        return False

    def _has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def block_dump(self) -> bool:
        """Put a folder where it saves.

        Raises:
            OSError: If the server wrote its file in between.
        """
        (self.folder / DUMP).unlink(missing_ok=True)
        (self.folder / DUMP).mkdir()
        return True

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.tell("PING").startswith((b"+PONG", b"-LOADING"))
        return False


class Topology(ABC):
    """A store of one or more servers."""

    kind: ClassVar[str]
    nodes: Sequence[Node]

    def __init__(self, folder: Path, *, has_clock: bool) -> None:
        self._clock = folder / "clock"
        self.clock = self._clock if has_clock else None
        self._slow: threading.Thread | None = None
        self._hurry = threading.Event()
        self.set_clock(0)

    @property
    @abstractmethod
    def url(self) -> str:
        """What the service is given."""

    @abstractmethod
    def start(self) -> None:
        """Have all servers run as one store."""

    @abstractmethod
    def is_whole(self) -> bool:
        """Tell whether the store can take a write."""

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def again(self) -> None:
        """Start what was killed; nothing that was written is lost."""
        for node in self.nodes:
            node.start()
        wait(self.is_whole)

    def hang(self) -> None:
        for node in self.nodes:
            node.send(signal.SIGSTOP)

    def go_on(self) -> None:
        for node in self.nodes:
            node.send(signal.SIGCONT)
        wait(self.is_whole)

    def slow(self) -> None:
        """Have every command wait, and most of them no longer than callers do."""
        self._hurry.clear()
        self._slow = threading.Thread(target=self._stall)
        self._slow.start()

    def hurry(self) -> None:
        self._hurry.set()
        if self._slow is not None:
            self._slow.join()
        wait(self.is_whole)

    def _stall(self) -> None:
        while not self._hurry.wait(STALL_S / 10):
            for sent in (signal.SIGSTOP, signal.SIGCONT):
                for node in self.nodes:
                    node.send(sent)
                time.sleep(STALL_S if sent is signal.SIGSTOP else 0)

    def settle(self) -> None:
        """Wait until servers have seen a step of their clocks, and run as one store."""
        time.sleep(STEP_SEEN_S)
        wait(self.is_whole)

    def empty(self) -> None:
        for node in self.nodes:
            node.tell("FLUSHALL")

    def fill_memory(self) -> None:
        for node in self.nodes:
            node.tell("CONFIG SET maxmemory 1")

    def free_memory(self) -> None:
        for node in self.nodes:
            node.tell("CONFIG SET maxmemory 0")

    def fill_disk(self) -> None:
        """Have servers fail to save what they hold; then they refuse writes."""
        for node in self.nodes:
            wait(node.block_dump)
            node.tell('CONFIG SET save "3600 1000000"')
            wait(node.fails_to_save)

    def free_disk(self) -> None:
        for node in self.nodes:
            (node.folder / DUMP).rmdir()
            wait(node.saves)
        self.again()

    def set_clock(self, ahead_s: int) -> None:
        """Set the clock of all servers, as seconds ahead of this machine's."""
        aside = self._clock.with_suffix(".new")
        aside.write_text(f"{ahead_s:+d}\n")
        aside.replace(self._clock)

    def back_up(self, folder: Path) -> None:
        """Copy what the servers keep, while they are down."""
        for node in self.nodes:
            shutil.copytree(node.folder / "appendonlydir", folder / node.folder.name)

    def restore(self, folder: Path) -> None:
        """Put a copy back, while the servers are down."""
        for node in self.nodes:
            shutil.rmtree(node.folder / "appendonlydir")
            shutil.copytree(folder / node.folder.name, node.folder / "appendonlydir")

    def fail_over(self) -> None:
        """Have another server take over, where there is one."""
        wait(self.is_whole)

    def end(self) -> None:
        self.kill()


class Single(Topology):
    """One server."""

    kind = "single"

    def __init__(self, folder: Path, *, has_clock: bool) -> None:
        super().__init__(folder, has_clock=has_clock)
        self.nodes = [Node(folder / "only", KEEPS_ALL, self.clock)]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.nodes[0].port}/0"

    def start(self) -> None:
        self.nodes[0].start()

    def is_whole(self) -> bool:
        return self.nodes[0].tell("EXISTS a").startswith(b":")


class Cluster(Topology):
    """Three masters that share the slots."""

    kind = "cluster"

    def __init__(self, folder: Path, *, has_clock: bool) -> None:
        super().__init__(folder, has_clock=has_clock)
        options = f"{KEEPS_ALL} --cluster-enabled yes --cluster-node-timeout 2000"
        self.nodes = [Node(folder / f"node-{i}", options, self.clock) for i in range(N_NODES)]

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}/0"

    def start(self) -> None:
        for number, node in enumerate(self.nodes):
            node.start()
            first, end = (N_SLOTS * part // N_NODES for part in (number, number + 1))
            node.tell(f"CLUSTER ADDSLOTSRANGE {first} {end - 1}")
            node.tell(f"CLUSTER MEET 127.0.0.1 {self.nodes[0].port}")
        wait(self.is_whole)

    def is_whole(self) -> bool:
        replies = [node.tell("CLUSTER INFO") for node in self.nodes]
        return all(b"cluster_state:ok" in one and b"known_nodes:3" in one for one in replies)


class Watched(Topology):
    """A master and a replica that a Sentinel watches; each may become the master."""

    kind = "sentinel"

    def __init__(self, folder: Path, *, has_clock: bool) -> None:
        super().__init__(folder, has_clock=has_clock)
        self.nodes = [Node(folder / name, KEEPS_ALL, self.clock) for name in ("first", "second")]
        self.sentinel = Node(folder / "sentinel")

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{MASTER}/0"

    def start(self) -> None:
        first, second = self.nodes
        first.start()
        second.start()
        second.tell(f"REPLICAOF 127.0.0.1 {first.port}")
        self.sentinel.folder.mkdir()
        config = self.sentinel.folder / "sentinel.conf"
        config.write_text(SENTINEL.format(name=MASTER, master=first.port))
        self.sentinel.options = f"{config} --sentinel"
        self.sentinel.start()
        wait(self.is_whole)

    def is_whole(self) -> bool:
        master = self._master()
        roles = [node.tell("INFO replication") for node in self.nodes if node is not master]
        is_linked = all(b"master_link_status:up" in role for role in roles)
        return is_linked and b"role:master" in master.tell("INFO replication")

    def again(self) -> None:
        master = self._master()
        for node in (master, *self.nodes):
            node.start()
            if node is not master:
                node.tell(f"REPLICAOF 127.0.0.1 {master.port}")
        wait(self.is_whole)

    def empty(self) -> None:
        self._master().tell("FLUSHALL")

    def fail_over(self) -> None:
        before = self._master()
        wait(lambda: self.sentinel.tell(f"SENTINEL FAILOVER {MASTER}").startswith(b"+OK"))
        wait(lambda: self._master() is not before)
        wait(self.is_whole)

    def end(self) -> None:
        super().end()
        self.sentinel.kill()

    def _master(self) -> Node:
        reply = self.sentinel.tell(f"SENTINEL GET-MASTER-ADDR-BY-NAME {MASTER}")
        port = int(reply.split(b"\r\n")[4])
        return next(node for node in self.nodes if node.port == port)


KINDS = {kind.kind: kind for kind in (Single, Cluster, Watched)}


@contextmanager
def running_topology(kind: str, folder: Path, *, has_clock: bool) -> Generator[Topology]:
    """Have a store of a kind run while the block runs.

    Args:
        kind: One of `KINDS`.
        folder: Made for it.
        has_clock: Whether its clock can be set, for which each command takes longer.
    """
    folder.mkdir()
    topology = KINDS[kind](folder, has_clock=has_clock)
    topology.start()
    try:
        yield topology
    finally:
        topology.end()


def clocked(file: Path) -> dict[str, str]:
    """Variables of a server whose clock a file sets, while it runs too.

    With its own allocator, jemalloc, libfaketime does not get along: that of libc goes before. The
    file is read once a second, not at every command: a store that does so is a slow one.
    """
    library = clock_library()
    assert library is not None
    return {
        "LD_PRELOAD": f"{library}:{library.parents[1] / 'libc.so.6'}",
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def wait(until: Callable[[], bool]) -> None:
    """Return once it is so; of a server that hangs up, as one does that fails over, it is not.

    Raises:
        AssertionError: If it does not become so.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        with suppress(OSError):
            if until():
                return
        assert time.monotonic() < deadline, until
        time.sleep(0.05)
