"""Worker processes on one shared socket, with a graceful stop that fails no request."""

import asyncio
import errno
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import FrameType
from typing import Final, NoReturn, Self

import uvicorn

from app.health.background_tasks import LOG_DRAIN_S
from app.health.readiness import Drain
from app.heap import map_large_arrays
from app.heartbeat import BEAT_S, SILENT_S, HeartbeatReceiver, HeartbeatSender, pipe
from app.main import create_app
from app.network.door import Bounds, Door
from app.network.listening import Listening
from app.network.protocol import protocol_of
from app.observability import configure_logging, get_logger
from app.resources import Worker
from app.settings import Settings
from app.shared_metrics import allocate, shared_directory, shrink
from models.domain.errors import UserError

# Connections that wait in the kernel; it takes no more than `net.core.somaxconn`, mostly 4,096.
BACKLOG: Final = 2_048
RESTART_AFTER_S: Final = 1.0
# Chosen: answers take milliseconds, and an orchestrator kills after 30 s.
CLOSE_WITHIN_S: Final = 10
# Chosen: what a caller had sent before the listener closed has arrived by then.
LAST_REQUESTS_S: Final = 0.2
TICKS_PER_S: Final = 10  # of uvicorn
# The store, the bundle, snapshots, and the libraries take 60.
RESERVED_FILES: Final = 128
# Of a worker that could not start or go on; uvicorn's own for the former.
EXIT_FAILED: Final = 3

_log = get_logger(__name__)


class ListenError(UserError):
    """The address of the settings cannot be listened on; the message says which to correct."""

    def __init__(self, host: str, port: int, exc: Exception) -> None:
        code = exc.errno if isinstance(exc, OSError) else None
        if code == errno.EADDRINUSE:
            what = (
                f"port {port} of {host} is in use: end what listens there, or set VITRINE_PORT"
                " (--port) to another, 0 for any that is free"
            )
        elif code == errno.EACCES:
            what = (
                f"this user may not listen on port {port}: set VITRINE_PORT (--port) to one above"
                " 1023"
            )
        else:
            what = (
                f"{host!r} is no address of this machine ({exc}): set VITRINE_HOST (--host) to one,"
                " such as 127.0.0.1, or 0.0.0.0 for all"
            )
        super().__init__(what)


class DrainingServer(uvicorn.Server):
    """Loses readiness at a SIGTERM, goes on answering for a while, and then stops."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        door: Door,
        drain: Drain,
        drain_s: float,
        heart: HeartbeatSender | None,
    ) -> None:
        super().__init__(config)
        self._heart = heart
        self._door = door
        self._drain = drain
        self._drain_s = drain_s
        self._stop_at: float | None = None
        self._listening: list[Listening] = []

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at a first SIGTERM; stop at once at anything else."""
        if sig == signal.SIGTERM and not self._drain.started:
            self._drain.started = True
            self._stop_at = time.monotonic() + self._drain_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Return, ten times a second, whether to stop; close slow callers once a second."""
        if counter % TICKS_PER_S == 0:
            self._door.sweep(asyncio.get_running_loop().time())
            if self._heart is not None:
                self._heart.beat()
        if self._drain.failed and not self._drain.started:
            self.handle_exit(signal.SIGTERM, None)
            # What hangs may keep the loop from stopping: then the process ends without it.
            after_s = self._drain_s + CLOSE_WITHIN_S + LOG_DRAIN_S
            timer = threading.Timer(after_s, os._exit, (EXIT_FAILED,))
            timer.daemon = True
            timer.start()
        drained = self._stop_at is not None and time.monotonic() >= self._stop_at
        return await super().on_tick(counter) or drained

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open what the application needs, and then listen."""
        await super().startup(sockets=[])
        protocol = partial(
            self.config.http_protocol_class,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self._listening = [Listening(listener, protocol) for listener in sockets or []]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted already, and then close."""
        if self._heart is not None:
            self._heart.stop()
        for listening in self._listening:
            listening.close()
        await asyncio.sleep(LAST_REQUESTS_S)
        await super().shutdown(sockets)


def listen(settings: Settings) -> socket.socket:
    """Bind the address that all workers share.

    Raises:
        ListenError: If the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    address = (settings.host, settings.port)
    try:
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as exc:  # the latter of a host that is no name
        raise ListenError(*address, exc) from exc
    listener.set_inheritable(True)
    return listener


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal stops this process, in it or in workers below it."""
    with _signals_unwind():
        if settings.workers == 1:
            run_worker(settings, listener, metrics_dir=None)
            return
        host, port = listener.getsockname()[:2]
        with shared_directory(
            f"{host}-{port}",
            wanted=settings.metrics_dir,
            state_dir=settings.state_dir,
            n_workers=settings.workers,
        ) as metrics_dir:
            # prometheus_client reads this when a worker imports it, and nothing else.
            if metrics_dir:
                os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_dir  # noqa: TID251 - see above
            start = partial(_Child.start, settings, listener, metrics_dir)
            children = [start() for _ in range(settings.workers)]
            try:
                _look_after(children, start, metrics_dir=metrics_dir)
            finally:
                listener.close()  # refuse connections, instead of keeping them waiting
                workers = [child.process for child in children]
                _stop(workers, within_s=settings.drain_s + CLOSE_WITHIN_S + 1)


def run_worker(
    settings: Settings,
    listener: socket.socket,
    *,
    metrics_dir: str | None,
    heart: HeartbeatSender | None = None,
) -> None:
    """Serve in this process until a signal stops it.

    Raises:
        SystemExit: With `EXIT_FAILED`, if it could not start, or its background tasks not go on.
    """
    map_large_arrays()
    worker = Worker(metrics_dir=metrics_dir)
    door = Door(_bounds(settings), worker.metrics.callers_refused)
    config = uvicorn.Config(
        create_app(settings, worker),
        http=protocol_of(door),
        ws="none",
        timeout_keep_alive=settings.keep_alive_s,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=CLOSE_WITHIN_S,
    )
    server = DrainingServer(
        config, door=door, drain=worker.drain, drain_s=settings.drain_s, heart=heart
    )
    server.run([listener])
    if worker.drain.failed or not server.started:
        sys.exit(EXIT_FAILED)


def _bounds(settings: Settings) -> Bounds:
    """Return the bounds on callers, whose connections leave files for the worker itself."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    n_connections = min(settings.max_connections, max(1, most - RESERVED_FILES))
    if n_connections < settings.max_connections:
        _log.warning("the limit of open files bounds connections", max_connections=n_connections)
    return Bounds(
        connections=n_connections,
        connections_per_address=settings.max_connections_per_address,
        head_bytes=settings.max_head_bytes,
        headers=settings.max_headers,
        head_s=settings.head_timeout_s,
        body_bytes=max(settings.max_body_bytes, settings.max_picture_bytes),
        body_s=settings.body_timeout_s,
        held_bytes=settings.max_held_bytes,
        keep_alive_s=settings.keep_alive_s,
    )


def _run_below(
    settings: Settings, listener: socket.socket, *, metrics_dir: str, beats: Connection
) -> None:
    configure_logging(settings.log_level)
    # A parent that is killed cannot stop its workers, which would keep the port.
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    if metrics_dir:
        try:
            allocate(metrics_dir, os.getpid())
        except OSError as exc:
            _log.error("no room for the metrics of this worker: make room", reason=str(exc))
    run_worker(settings, listener, metrics_dir=metrics_dir or None, heart=HeartbeatSender(beats))


def _stop_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def fork_server() -> ForkServerContext:
    """Return the context whose processes are forked from one that has imported `app.preloaded`.

    A worker has 110 MB of its own so, and 232 if it imports everything itself (321 sales,
    2026-11-30).
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["app.preloaded"])
    return context


@dataclass(frozen=True, slots=True)
class _Child:
    process: ForkServerProcess
    heartbeat: HeartbeatReceiver
    lost_s: float

    @classmethod
    def start(cls, settings: Settings, listener: socket.socket, metrics_dir: str) -> Self:
        reader, writer = pipe()
        # Not forked from here: threads and locks of libraries would be copied as they stand.
        process = fork_server().Process(
            target=_run_below,
            args=(settings, listener),
            kwargs={"metrics_dir": metrics_dir, "beats": writer},
            name="worker",
        )
        process.start()
        writer.close()  # a pipe ends where no process can write to it
        return cls(process, HeartbeatReceiver(reader), settings.worker_lost_s)

    def listen(self, elapsed_s: float) -> None:
        """Read the heartbeat; warn of a silent worker, and kill one that stays silent."""
        heartbeat, pid, before_s = self.heartbeat, self.process.pid, self.heartbeat.silent_s
        was_awaited = heartbeat.is_awaited
        heartbeat.listen(elapsed_s)
        if heartbeat.is_awaited and not was_awaited:
            _log.info("a worker is ready", pid=pid)
        if heartbeat.silent_s >= self.lost_s:
            after_s = self.lost_s
            _log.error("a worker is silent for too long and is killed", pid=pid, after_s=after_s)
            self.process.kill()
            self.process.join()
        elif before_s < SILENT_S <= heartbeat.silent_s:
            _log.warning("a worker is silent: it hangs, or was stopped", pid=pid, after_s=SILENT_S)
        elif before_s >= SILENT_S and not heartbeat.silent_s and heartbeat.is_awaited:
            _log.info("a worker is heard again", pid=pid)


def _look_after(
    children: list[_Child], start: Callable[[], _Child], *, metrics_dir: str
) -> NoReturn:
    last_s = time.monotonic()
    while True:
        if connection.wait([child.process.sentinel for child in children], BEAT_S):
            time.sleep(RESTART_AFTER_S)  # a worker that cannot start must not spin
        now_s = time.monotonic()
        for index, child in enumerate(children):
            if child.process.is_alive():
                # Bounded: silence counts only while this process could have heard a beat.
                child.listen(min(now_s - last_s, BEAT_S + RESTART_AFTER_S))
            else:
                _log.error("a worker died and is replaced", exit_code=child.process.exitcode)
                shrink(metrics_dir, child.process.pid)
                child.heartbeat.connection.close()
                children[index] = start()
        last_s = now_s


def _stop(workers: list[ForkServerProcess], *, within_s: float) -> None:
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + within_s
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            _log.error("a worker did not stop in time and is killed")
            worker.kill()


@contextmanager
def _signals_unwind() -> Generator[None]:
    """Let a SIGTERM unwind the stack, so that what was opened is closed."""

    def exit_once(_sig: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(0)

    before = signal.signal(signal.SIGTERM, exit_once)
    try:
        yield
    except KeyboardInterrupt:
        _log.info("interrupted")
    finally:
        signal.signal(signal.SIGTERM, before)
