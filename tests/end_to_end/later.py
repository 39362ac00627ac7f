"""The real service over a store whose clock goes ahead: ``python -m`` this module.

Only the clock is another one. A file says by how many seconds, and may be changed at any time:
so a test lives through days.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import uvicorn
from fastapi import FastAPI

from app.bundles.bundle_repository import BundleRepository
from app.errors import StoreUnavailableError
from app.main import create_app
from app.observability import configure_logging
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.connection import Argument, Command, Connection, Script
from app.stores.store import Stores
from tests.end_to_end.service import IMAGE, Service
from tests.proofs import ROOT


@cache
def ahead(script: Script, seconds: int) -> Script:
    """The same script, with the clock ahead."""
    later = f"(function() local t = redis.call('TIME') t[1] = t[1] + {seconds} return t end)()"
    return Script.from_source(script.source.replace("redis.call('TIME')", later))


class LaterConnection(Connection):
    """A connection to a store whose clock goes ahead."""

    clock: Path

    @property
    def _seconds(self) -> int:
        return int(self.clock.read_text())

    async def execute(self, *command: Argument, doing: str) -> object:
        reply = await super().execute(*command, doing=doing)
        if command[0] != "TIME":
            return reply
        seconds, microseconds = cast("tuple[int, int]", reply)
        return seconds + self._seconds, microseconds

    async def run(
        self, script: Script, keys: Sequence[str], *arguments: Argument, doing: str
    ) -> object:
        return await super().run(ahead(script, self._seconds), keys, *arguments, doing=doing)

    async def run_many(
        self, script: Script, commands: Sequence[Command], *, doing: str
    ) -> list[object]:
        later = ahead(script, self._seconds)
        return await super().run_many(later, _moved(commands, later), doing=doing)

    async def run_each(
        self, script: Script, commands: Sequence[Command], *, doing: str
    ) -> list[object | StoreUnavailableError]:
        later = ahead(script, self._seconds)
        return await super().run_each(later, _moved(commands, later), doing=doing)


def _moved(commands: Sequence[Command], later: Script) -> list[Command]:
    return [(command[0], later.sha, *command[2:]) for command in commands]


def later_app(settings: Settings, clock: Path) -> FastAPI:
    """The application with the first bundle of its directory."""

    @asynccontextmanager
    async def opener(settings: Settings, worker: Worker) -> AsyncGenerator[Resources]:
        connection = LaterConnection.open(str(settings.redis_url), timeout_s=10.0)
        connection.clock = clock
        stores = Stores.over(connection)
        model = BundleRepository(settings.bundles, settings.bundle).load_first("")
        async with resources_over(stores, model, settings=settings, worker=worker) as resources:
            yield resources
        await connection.close()

    return create_app(settings, Worker(), opener=opener)


@dataclass
class LaterService(Service):
    """A running service, and its clock."""

    clock: Path

    def move(self, seconds: int) -> None:
        """Set the clock ahead by some seconds, from the next command on."""
        aside = self.clock.with_suffix(".next")
        aside.write_text(str(seconds))
        aside.replace(self.clock)


@contextmanager
def serving_later(folder: Path, seconds: int, **settings: str) -> Generator[LaterService]:
    """Run the service on a free port while the block runs, so many seconds ahead."""
    log, clock = folder / "service.log", folder / "clock"
    clock.write_text(str(seconds))
    with socket.create_server(("127.0.0.1", 0), backlog=2_048) as listener:
        asked = {"fd": listener.fileno(), "clock": str(clock), "settings": settings}
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        log.write_text(json.dumps({"url": url}) + "\n")
        with (
            log.open("ab") as output,
            subprocess.Popen(
                [sys.executable, "-m", __name__, json.dumps(asked)],
                cwd=ROOT,
                env=os.environ | IMAGE,
                pass_fds=[listener.fileno()],
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                yield LaterService(process, log, clock)
            finally:
                process.terminate()


def main() -> None:
    """Serve as the argument says."""
    asked = json.loads(sys.argv[1])
    configure_logging("warning")
    settings = Settings.model_validate(asked["settings"])
    app = later_app(settings, Path(asked["clock"]))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    uvicorn.Server(config).run([socket.socket(fileno=asked["fd"])])


if __name__ == "__main__":
    main()
