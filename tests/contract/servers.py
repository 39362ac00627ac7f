"""Real servers for contract suites: started on a socket of their own, stopped with the tests."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from app.stores.connection import Connection
from app.stores.embedded import answers, socket_path
from tests.proofs import ROOT

START_TIMEOUT_S = 60.0  # machines that run tests are busy
N_NODES = 3
N_SLOTS = 16_384
BUS_OFFSET = 10_000
"""From a node's port to the one by which the nodes of a cluster speak."""
MAX_PORT = 65_536 - BUS_OFFSET
_TOLD: set[int] = set()
KEEPS_NOTHING = ("--save", "", "--appendonly", "no")
TESTS_ALSO = "+dbsize +ttl +pttl +keys +flushall +script|flush +lindex +rpush +acl|setuser"
"""What the suites need to look behind the store, and the service does not."""


def redis_binary() -> str | None:
    """Where Redis is installed, None if it is not."""
    return shutil.which("redis-server")


@contextmanager
def redis_server(binary: str, folder: Path) -> Generator[str]:
    """Have a Redis run that keeps nothing, and yield its URL."""
    path = socket_path(folder)
    with _running(binary, folder, "--port", "0", "--unixsocket", str(path)):
        wait_until_ready(path)
        yield f"unix://{path}"


@contextmanager
def tls_server(binary: str, folder: Path, *, port: int = 0) -> Generator[str]:
    """Have a Redis run that speaks TLS only, by an authority of its own; port 0: any free one."""
    port = port or free_port()
    _certify(folder)
    tls = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    for name in ("cert", "key", "ca-cert"):
        tls += [f"--tls-{name}-file", str(folder / f"{name}.pem")]
    with _running(binary, folder, "--port", "0", *tls):
        _wait(lambda: _accepts(port))
        yield f"rediss://localhost:{port}/0?ssl_ca_certs={folder / 'ca-cert.pem'}"


@contextmanager
def acl_server(binary: str, folder: Path, *, without: str = "") -> Generator[str]:
    """Have a Redis run whose only user has the rights that docs/store.md gives, or one less."""
    port = free_port()
    rights = " ".join(right for right in documented_rights().split() if right != without)
    user = f"user vitrine on >secret {rights} {TESTS_ALSO}"
    (folder / "users.acl").write_text(f"user default off\n{user}\n")
    with _running(binary, folder, "--port", str(port), "--aclfile", str(folder / "users.acl")):
        _wait(lambda: _accepts(port))
        yield f"redis://vitrine:secret@localhost:{port}/0"


@contextmanager
def cluster(binary: str, folder: Path) -> Generator[str]:
    """Have three nodes run that share the slots, and yield the URL of their cluster."""
    ports = [free_port() for _ in range(N_NODES)]
    with ExitStack() as nodes:
        for port in ports:
            node = folder / str(port)
            node.mkdir()
            settings = ["--port", str(port), "--cluster-enabled", "yes"]
            nodes.enter_context(_running(binary, node, *settings))
        for port in ports:
            _wait(lambda port=port: _accepts(port))
        join_cluster(ports)
        yield f"redis+cluster://127.0.0.1:{ports[0]}/0"


@dataclass
class Nodes:
    """Servers that may be stopped and started again, each on a port of its own."""

    binary: str
    folder: Path
    running: dict[int, subprocess.Popen[bytes]] = field(
        default_factory=dict[int, subprocess.Popen[bytes]]
    )

    def start(self, port: int, *settings: str, replica_of: int | None = None) -> None:
        """Start a server, with what it had before."""
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        follows = ["--replicaof", f"127.0.0.1 {replica_of}"] if replica_of else []
        command = [self.binary, *settings, "--port", str(port), *follows]
        command += [] if "--sentinel" in settings else ["--save", ""]
        log = (folder / "redis.log").open("ab")
        self.running[port] = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        log.close()
        _wait(lambda: _accepts(port))

    def kill(self, port: int) -> None:
        """Kill a server."""
        process = self.running.pop(port)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        """Kill all servers."""
        for port in tuple(self.running):
            self.kill(port)


@contextmanager
def nodes(binary: str, folder: Path) -> Generator[Nodes]:
    """Have servers run that a test starts and kills."""
    made = Nodes(binary, folder)
    try:
        yield made
    finally:
        made.kill_all()


def join_cluster(ports: Sequence[int]) -> None:
    """Share the slots between nodes that run, and return when their cluster is whole."""
    for number, port in enumerate(ports):
        first, end = (N_SLOTS * part // len(ports) for part in (number, number + 1))
        tell(port, f"CLUSTER ADDSLOTSRANGE {first} {end - 1}")
        tell(port, f"CLUSTER MEET 127.0.0.1 {ports[0]}")
    for port in ports:
        _wait(lambda port=port: _is_whole(port))


def documented_rights() -> str:
    """The rights of the user that docs/store.md tells operators to make."""
    page = (ROOT / "docs/store.md").read_text(encoding="utf-8")
    command = page.split("ACL SETUSER vitrine on >PASSWORD", 1)[1].split("\nEND", 1)[0]
    return " ".join(command.replace("\\", " ").split())


def documented_shell() -> str:
    """The shell command of docs/store.md that makes this user."""
    page = (ROOT / "docs/store.md").read_text(encoding="utf-8")
    return "redis-cli" + page.split("```\nredis-cli", 1)[1].split("```", 1)[0]


def documented_sentinel_rights() -> str:
    """The rights that docs/store.md gives a user of Sentinels."""
    page = (ROOT / "docs/store.md").read_text(encoding="utf-8")
    return page.split("A user of Sentinels needs `", 1)[1].split("`", 1)[0]


def free_port() -> int:
    """A free port whose cluster bus port is free too, and that was not given before."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = int(found.getsockname()[1])
        if port < MAX_PORT and port not in _TOLD and _is_free(port + BUS_OFFSET):
            _TOLD.add(port)
            return port


def tell(port: int, command: str) -> bytes:
    """Send a command to a server, and return its reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(65_536)


def wait_until_ready(path: Path) -> None:
    """Return when a server answers at a socket.

    Raises:
        TimeoutError: If none does in time.
    """
    _wait(lambda: answers(path))


async def process_id(connection: Connection) -> int:
    """The process of a server, to stop it in mid-air."""
    reply = await connection.execute("INFO", "server", doing="looking")
    return int(cast("dict[str, int]", reply)["process_id"])


@asynccontextmanager
async def hanging(connection: Connection) -> AsyncGenerator[None]:
    """Have a server answer nothing inside the block, however long it lasts."""
    hung = await process_id(connection)
    os.kill(hung, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(hung, signal.SIGCONT)


@contextmanager
def _running(binary: str, folder: Path, *settings: str) -> Generator[None]:
    command = [binary, *settings, *KEEPS_NOTHING]
    with (
        (folder / "redis.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not until():
        if time.monotonic() > deadline:
            msg = f"no server answers within {START_TIMEOUT_S:g} s"
            raise TimeoutError(msg)
        time.sleep(0.01)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _is_whole(port: int) -> bool:
    reply = tell(port, "CLUSTER INFO")
    return b"cluster_state:ok" in reply and b"cluster_known_nodes:3" in reply


def _certify(folder: Path) -> None:
    """Make an authority, and let it certify a server at localhost."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    (folder / "names.txt").write_text(names)
    new = ["req", "-newkey", "rsa:2048", "-nodes"]
    _openssl(
        folder,
        *(*new, "-x509", "-days", "2", "-subj", "/CN=Tests"),
        *("-keyout", "ca-key.pem", "-out", "ca-cert.pem"),
    )
    _openssl(folder, *new, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
    _openssl(
        folder,
        *("x509", "-req", "-in", "request.pem", "-days", "2", "-extfile", "names.txt"),
        *("-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-out", "cert.pem"),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    command: Sequence[str] = ["openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
